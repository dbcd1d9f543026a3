// `layermix verify DIR --against FILE`: does layermix compute the function of a published model?

import { Args, Flags } from "@oclif/core";
import { exitCodes } from "../../diag/diagnostic.js";
import { renderVerification } from "../../interop/render_verification.js";
import { verify } from "../../interop/verify.js";
import type { Precision } from "../../run/native.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { sharedFlags } from "../shared_flags.js";

export class Verify extends LayermixCommand {
  static override summary = "Compare a Hugging Face checkpoint in layermix with a recorded run.";
  static override description =
    "Loads config.json and the weights into the native library, runs the recorded input forward and " +
    "backward, and compares logits, loss, hidden states and every gradient. Equal means: logits and " +
    "loss within 2e-5, each gradient within 1e-4 (relative Frobenius norm); in bf16, on a GPU, within twice what a " +
    "plain bf16 implementation, run beside it, is off. Exits with 5 when they are not.";
  static override examples = [
    "<%= config.bin %> verify checkpoint --against recorded.safetensors",
    "<%= config.bin %> verify checkpoint --precision fp64 --json",
  ];
  static override args = {
    dir: Args.string({
      description: "Checkpoint folder: config.json and model.safetensors.",
      required: true,
    }),
  };
  static override flags = {
    against: Flags.string({
      description:
        "Recorded run: input_ids, logits, and optionally loss, hidden_states.N, grad.NAME. Default: DIR/io.safetensors",
      helpValue: "FILE",
    }),
    device: sharedFlags.device,
    precision: Flags.string({
      description:
        "Compute in fp64 (one thread, the oracle), fp32, or bf16 on a GPU. Default: fp64, on a GPU bf16. Example: --precision fp32",
      options: ["fp64", "fp32", "bf16"],
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Verify);
    const device = flags.device === "auto" ? "cpu" : flags.device;
    const precision = (flags.precision ?? (device === "cpu" ? "fp64" : "bf16")) as Precision;
    const data = await verify({
      folder: args.dir,
      device,
      precision,
      ...(flags.against !== undefined && { reference: flags.against }),
    });
    if (!data.ok) process.exitCode = exitCodes.trialFailed;
    return { data, text: renderVerification(data) };
  }
}
