// `layermix export megatron`: a plan as launch arguments.

import { Args, Flags } from "@oclif/core";
import { type MegatronArguments, megatronArguments } from "../../../interop/megatron_arguments.js";
import { plan } from "../../../plan/plan.js";
import { defaults } from "../../../spec/defaults.js";
import { loadStudy } from "../../../spec/load_study.js";
import { locating } from "../../../spec/locate_error.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { lengthFlag } from "../../quantity_flags.js";
import { sharedFlags } from "../../shared_flags.js";

export class ExportMegatron extends LayermixCommand {
  static override summary = "Print the arguments that launch a model in Megatron-LM.";
  static override description =
    "Prints --hybrid-layer-pattern and every model dimension as arguments of Megatron-LM's pretrain_hybrid.py, ready to " +
    "paste. What Megatron cannot express is an error that names it; what reads differently there is said on stderr.";
  static override examples = [
    "<%= config.bin %> export megatron preset:mamba2-hybrid-8b",
    "<%= config.bin %> export megatron study.yaml --tensor-parallel 8 --pipeline-parallel 2 --sequence 8K",
    "<%= config.bin %> export megatron study.yaml --json",
  ];
  static override args = {
    file: Args.string({ description: "Study file, preset:NAME, or - for stdin.", required: true }),
  };
  static override flags = {
    sequence: lengthFlag(
      "sequence",
      "Tokens per sequence, 4096 by default; K is 1024. Example: --sequence 8K",
    ),
    "tensor-parallel": Flags.integer({
      description: "Tensor-parallel ranks, checked against heads and groups. Example: --tensor-parallel 8",
      helpValue: "COUNT",
      default: 1,
      min: 1,
      max: 4096,
    }),
    "pipeline-parallel": Flags.integer({
      description: "Pipeline stages; the pattern is cut into as many. Example: --pipeline-parallel 4",
      helpValue: "COUNT",
      default: 1,
      min: 1,
      max: 4096,
    }),
    set: sharedFlags.set,
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportMegatron);
    const { spec, document, warnings } = await loadStudy(args.file, { set: flags.set ?? [] });
    const data = locating(document, () =>
      megatronArguments(plan(spec), {
        sequence: flags.sequence ?? 4096,
        tensorParallel: flags["tensor-parallel"],
        pipelineParallel: flags["pipeline-parallel"],
        initStd: spec.proxy?.initStd ?? defaults.proxy.initStd,
      }),
    );
    for (const note of data.notes) this.note(`note: ${note}`);
    return { data: { ...data, arguments: data.arguments.flat() }, text: argumentText(data), warnings };
  }
}

/** One argument with its values per line, as a shell takes them. */
function argumentText({ arguments: list }: MegatronArguments): string {
  return list.map((words) => words.map(shellWord).join(" ")).join(" \\\n");
}

/** Quoted where a shell would read something else into it: * ? | in patterns. */
function shellWord(word: string): string {
  return /^[A-Za-z0-9_.,/=+:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
