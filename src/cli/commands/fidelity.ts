// `layermix fidelity`: how well short runs predict long ones, and small proxies larger ones.

import { Args, Flags } from "@oclif/core";
import { studyFidelity } from "../../rank/fidelity_study.js";
import { fidelityText } from "../../report/fidelity_text.js";
import { readMeasurements } from "../../study/study_measurements.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { confidenceFlag } from "../confidence_flag.js";

export class FidelityCommand extends LayermixCommand {
  static override summary = "Say how well short or small runs predict the ranking of long or large ones.";
  static override description =
    "Compares the order of the candidates along their runs with the order at the end: Kendall's tau-b, Spearman's rho, " +
    "regret and top-k overlap, with bootstrap intervals over seeds. With --against, the truth is another study of the " +
    "same sweep: longer, or with a larger proxy. Beside it stand the orders by parameters, by FLOPs and at random, and " +
    "how well the truth agrees with itself.";
  static override examples = [
    "<%= config.bin %> fidelity layermix-studies/attention-share",
    "<%= config.bin %> fidelity layermix-studies/small --against layermix-studies/large --by text",
    "<%= config.bin %> fidelity layermix-studies/attention-share --json",
  ];
  static override args = {
    dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
  };
  static override flags = {
    against: Flags.string({
      description:
        "Study whose full runs are the truth; repeatable. Example: --against layermix-studies/large",
      helpValue: "DIR",
      multiple: true,
      multipleNonGreedy: true,
    }),
    by: Flags.string({
      description: "Measure to rank by: score, loss, or a task of the study. Example: --by recall",
      helpValue: "MEASURE",
    }),
    confidence: confidenceFlag(),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(FidelityCommand);
    const study = readMeasurements(args.dir);
    const choice = { by: flags.by, confidence: flags.confidence };
    const others = flags.against?.map((folder) => readMeasurements(folder)) ?? [undefined];
    const comparisons = others.map((other) => studyFidelity(study, other, choice));
    const style = { width: process.stdout.columns ?? 110, color: this.color };
    return {
      data: { folder: args.dir, comparisons },
      text: comparisons.map((fidelity) => fidelityText(fidelity, style)).join("\n\n"),
    };
  }
}
