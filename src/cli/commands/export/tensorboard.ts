// `layermix export tensorboard`: the curves of a study as event files.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Args, Flags } from "@oclif/core";
import { eventFile } from "../../../interop/tensorboard_events.js";
import { taskLabels } from "../../../rank/task_labels.js";
import { curveValues } from "../../../report/study_tables.js";
import { writeFileAtomic } from "../../../study/atomic_file.js";
import { onDisk } from "../../../study/storage_error.js";
import { readMeasurements, type TrialMeasurements } from "../../../study/study_measurements.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { commandLine } from "../../next_command.js";

export class ExportTensorBoard extends LayermixCommand {
  static override summary = "Write the curves of a study as TensorBoard event files.";
  static override description =
    "One run per trial, CANDIDATE/TASK/seed-N: training loss, gradient norm and learning rate by step, and every held-out " +
    "figure. Opens with tensorboard --logdir DIR; wandb sync reads the same files.";
  static override examples = [
    "<%= config.bin %> export tensorboard layermix-studies/attention-share",
    "<%= config.bin %> export tensorboard layermix-studies/attention-share -o runs",
  ];
  static override args = {
    dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
  };
  static override flags = {
    out: Flags.string({
      char: "o",
      description: "Folder to write to; DIR/tensorboard when absent. Example: -o runs",
      helpValue: "DIR",
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportTensorBoard);
    const { document, trials } = readMeasurements(args.dir);
    const labels = taskLabels(document.spec.proxy?.tasks ?? []);
    const folder = flags.out ?? join(args.dir, "tensorboard");
    let [runs, scalars] = [0, 0];
    for (const trial of trials) {
      const values = curveValues(trial, document.tasks[trial.task]!.batchTokens);
      if (values.length === 0) continue;
      const run = join(
        folder,
        ...runName(trial, document.candidates[trial.candidate]!.name, labels[trial.task]!),
      );
      onDisk("write", run, () => mkdirSync(run, { recursive: true }));
      const clock = clockOf(trial);
      const events = values.map(({ step, split, metric, value }) => ({
        tag: `${split}/${metric}`,
        step,
        wallSeconds: clock(step),
        value,
      }));
      // A fixed name: the same export again replaces the file instead of adding a second run to it.
      writeFileAtomic(join(run, "events.out.tfevents.0.layermix"), eventFile(events));
      runs += 1;
      scalars += events.length;
    }
    return {
      data: { folder, runs, scalars },
      text: `${folder}: ${runs} runs, ${scalars} scalars`,
      next: commandLine(["tensorboard", "--logdir", folder]),
    };
  }
}

/** Folder names that every file system takes: one part per candidate, task and seed, whatever the names hold. */
function runName({ seed }: TrialMeasurements, candidate: string, task: string): readonly string[] {
  const safe = (name: string) => name.replaceAll(/[^A-Za-z0-9=%+_(),-]+/g, ".").replace(/^\.+/, "_") || "_";
  return [safe(candidate), safe(task), `seed-${seed}`];
}

/** When a step was taken, seconds since 1970: back from the end of the trial at its mean pace, as only that is recorded. */
function clockOf({ timing, endedAt = 0, training }: TrialMeasurements): (step: number) => number {
  const steps = timing?.steps ?? training.at(-1)?.step ?? 1;
  const pace = (timing?.trainSeconds ?? 0) / Math.max(1, steps);
  return (step) => Math.max(0, endedAt / 1000 - (steps - step) * pace);
}
