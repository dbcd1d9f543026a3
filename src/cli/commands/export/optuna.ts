// `layermix export optuna`: a study as a journal that Optuna and its dashboard open.

import { join } from "node:path";
import { Args, Flags } from "@oclif/core";
import { optunaJournal } from "../../../interop/optuna_journal.js";
import { rankStudy } from "../../../rank/rank_study.js";
import { optunaStudy } from "../../../report/optuna_study.js";
import { readMeasurements } from "../../../study/study_measurements.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { commandLine } from "../../next_command.js";
import { writeOutput } from "../../output_file.js";
import { trialEnds } from "../../ranked_folder.js";
import { outFlag } from "../../table_export.js";

export class ExportOptuna extends LayermixCommand {
  static override summary = "Write a study as an Optuna journal.";
  static override description =
    "One Optuna trial per candidate and seed: its value is the measure of the ranking, its parameters are the swept values, " +
    "its intermediate values the measure along the run. Opens with optuna-dashboard FILE, or in Python with " +
    "JournalStorage(JournalFileBackend(FILE)).";
  static override examples = [
    "<%= config.bin %> export optuna layermix-studies/attention-share",
    "<%= config.bin %> export optuna layermix-studies/attention-share --by recall -o recall.log",
  ];
  static override args = {
    dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
  };
  static override flags = {
    by: Flags.string({
      description: "Measure to export: score, loss, or a task of the study. Example: --by recall",
      helpValue: "MEASURE",
    }),
    out: outFlag("File to write; DIR/optuna.log when absent. Example: -o study.log"),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportOptuna);
    const measurements = readMeasurements(args.dir);
    // The ranking refuses a measure that the study does not have.
    const { by } = rankStudy(measurements.document, trialEnds(args.dir), { by: flags.by });
    const study = optunaStudy(measurements, by);
    const file = flags.out ?? join(args.dir, "optuna.log");
    writeOutput(file, optunaJournal(study));
    const states = study.trials.map(({ state }) => state);
    const trials = { complete: states.filter((state) => state === "complete").length, total: states.length };
    return {
      data: { file, name: study.name, measure: by, trials },
      text: `${file}: ${study.name}, ${trials.complete} of ${trials.total} trials complete, by ${by}`,
      next: commandLine(["optuna-dashboard", file]),
    };
  }
}
