// `layermix pattern`: shares -> the layer pattern, and nothing else on stdout, for use in scripts.

import { Flags } from "@oclif/core";
import { layOut } from "../../plan/layout.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { parseMixFlag, parsePlacementFlag } from "../layout_flags.js";

export class Pattern extends LayermixCommand {
  static override summary = "Print the layer pattern of a mix.";
  static override description =
    "Turns shares into layers: M is Mamba-2, * is attention, - is MLP; layermix explain LMX1207 lists all kinds and their " +
    "symbols. Placement even is Megatron's algorithm, exactly; the " +
    "result can be given to its --hybrid-layer-pattern. A kind without a share takes what the others leave.";
  static override examples = [
    "<%= config.bin %> pattern --layers 56 --mix mamba2=43%,attention=7%,mlp=50%",
    "<%= config.bin %> pattern --layers 24 --mix mamba2,attention=12.5% --placement every:8",
    "<%= config.bin %> pattern --layers 48 --mix gated_deltanet=37.5%,attention=12.5%,moe=50%",
  ];
  static override flags = {
    layers: Flags.integer({
      description: "Number of layers; every symbol of the pattern is one. Example: --layers 56",
      helpValue: "COUNT",
      required: true,
      min: 1,
      max: 10_000,
    }),
    mix: Flags.string({
      description: "Shares by kind. Example: --mix mamba2=43%,attention=7%,mlp=50%",
      helpValue: "KIND=SHARE,...",
      required: true,
    }),
    placement: Flags.string({
      description:
        "Where the layers go: even, alternate, halves, every:N, at:I,J,... Example: --placement at:12,24",
      helpValue: "PLACEMENT",
      default: "even",
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { flags } = await this.parse(Pattern);
    const mix = parseMixFlag(flags.mix);
    const placement = parsePlacementFlag(flags.placement);
    const { pattern, counts, notes } = layOut({ kind: "mix", mix, layers: flags.layers, placement });
    for (const { message } of notes) this.note(message);
    return { data: { pattern, counts, notes }, text: pattern };
  }
}
