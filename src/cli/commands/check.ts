// `layermix check FILE...`: is this study valid, and can it be planned? One line per file.

import { Args } from "@oclif/core";
import { type Diagnostic, type ExitCode, exitCodes, LayermixError } from "../../diag/diagnostic.js";
import { counted } from "../../report/format.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { type CheckedStudy, checkStudy } from "../check_study.js";
import { nextCommand } from "../next_command.js";
import { sharedFlags } from "../shared_flags.js";

function summary(study: CheckedStudy): string {
  const layers = Object.entries(study.counts).filter(([, count]) => count > 0);
  const parts = [layers.map(([kind, count]) => `${count} ${kind}`).join(", ")];
  if (study.candidates > 1 || study.dropped > 0) {
    const dropped = study.dropped === 0 ? "" : ` (${study.dropped} dropped: layermix plan says why)`;
    parts.push(`${counted(study.candidates, "candidate")}${dropped}`);
  }
  if (study.trials > 0) parts.push(counted(study.trials, "trial"));
  return `ok  ${study.file}: ${parts.join("; ")}`;
}

export class Check extends LayermixCommand {
  static override summary = "Check study files.";
  static override description =
    "Reads each file, checks its form and its meaning, and plans its model and candidates. Every " +
    "independent problem is shown with its place in the file, what was expected, and what to do. Exit " +
    "code: 3 for an invalid file, 4 for one whose model cannot be built.";
  static override examples = [
    "<%= config.bin %> check study.yaml",
    "<%= config.bin %> check preset:attention-share --set model.hidden=2048",
    "cat study.yaml | <%= config.bin %> check - --json",
  ];
  static override strict = false;
  static override args = {
    file: Args.string({
      description: "Study files; preset:NAME is a preset, - is stdin. Example: study.yaml",
      required: true,
    }),
  };
  static override flags = { set: sharedFlags.set };

  protected override async execute(): Promise<CommandResult> {
    const { argv, flags } = await this.parse(Check);
    const studies: CheckedStudy[] = [];
    const problems: Diagnostic[] = [];
    let exitCode: ExitCode = exitCodes.ok;
    for (const file of new Set(argv as string[])) {
      const outcome = await checkStudy(file, flags.set ?? []);
      if (outcome.ok) {
        studies.push(outcome.study);
      } else {
        problems.push(...outcome.problems);
        exitCode = exitCode === exitCodes.ok ? outcome.exitCode : exitCode;
      }
    }
    const failure = problems.length === 0 ? undefined : new LayermixError(problems, exitCode);
    const [first] = studies;
    if (first === undefined) throw failure;
    return {
      data: { files: studies.map(({ warnings: _, ...study }) => study) },
      text: studies.map(summary).join("\n"),
      warnings: studies.flatMap((study) => study.warnings),
      ...(failure === undefined ? nextCommand("plan", first.file) : { failure }),
    };
  }
}
