// `layermix bench decode`: times the native decoder on the model of a study file.

import { Args, Flags } from "@oclif/core";
import { toNativeModel } from "../../../plan/native_model.js";
import { plan } from "../../../plan/plan.js";
import { decodeBenchText } from "../../../report/decode_bench_text.js";
import { benchDecode, type DecodeBenchPoint } from "../../../run/bench_decode.js";
import { chooseDevice } from "../../../run/device.js";
import { addonFor, loadNative } from "../../../run/load_native.js";
import { probeCuda } from "../../../run/probe_cuda.js";
import { loadStudy } from "../../../spec/load_study.js";
import { locating } from "../../../spec/locate_error.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { nextCommand } from "../../next_command.js";
import { listFlag } from "../../projection_flags.js";
import { sharedFlags } from "../../shared_flags.js";

/** Longer prompts, over all sequences, are left out of the table. */
const mostPromptTokens = { cuda: 131_072, cpu: 4096 } as const;

export class BenchDecodeCommand extends LayermixCommand {
  static override summary = "Time prompts and tokens of a model in the native decoder.";
  static override description =
    "Measures what project projects: reading a prompt of the context's length, and one token per sequence after that " +
    "context. Weights are random; long contexts are not read but filled with random keys, values and states. Medians after a " +
    "warm-up; fp32 on the CPU, bf16 on a GPU, where a step is one CUDA graph. Prompts of more tokens than a device reads in " +
    "seconds are left out.";
  static override examples = [
    "<%= config.bin %> bench decode preset:mamba2-hybrid-8b --device cuda:0",
    "<%= config.bin %> bench decode study.yaml --contexts 1K,32K --batch 1,32 --json",
  ];
  static override args = {
    file: Args.string({ description: "Study file, preset:NAME, or - for stdin.", required: true }),
  };
  static override flags = {
    contexts: listFlag("contexts", "Context lengths in tokens, 1K by default; K is 1024.", "1K,32K", true),
    batch: listFlag("batch", "Sequences decoded at the same time, 1 by default.", "1,32", false),
    steps: Flags.integer({
      description: "Tokens that are timed. Example: --steps 100",
      helpValue: "COUNT",
      default: 20,
      min: 1,
      max: 10_000,
    }),
    state: Flags.string({
      description: "Type of the recurrent state on a GPU. Example: --state bf16",
      options: ["fp32", "bf16"],
      default: "fp32",
    }),
    threads: Flags.integer({
      description: "CPU threads; all cores by default. Example: --threads 4",
      helpValue: "COUNT",
      default: 0,
      min: 0,
      max: 1024,
    }),
    device: sharedFlags.device,
    seed: sharedFlags.weightsSeed,
    set: sharedFlags.set,
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(BenchDecodeCommand);
    const study = await loadStudy(args.file, { set: flags.set ?? [] });
    const planned = locating(study.document, () => {
      const one = plan(study.spec);
      toNativeModel(one); // refuses what can only be planned, before a device is opened
      return one;
    });
    const device = chooseDevice(flags.device);
    const described = device === "cpu" ? "cpu" : probeCuda().cuda[Number(device.slice("cuda:".length))]!;
    const native = loadNative(addonFor(device));
    const points: DecodeBenchPoint[] = [];
    for (const batch of flags.batch ?? [1]) {
      for (const context of flags.contexts ?? [1024]) {
        this.note(`${planned.name}: batch ${batch}, context ${context}`);
        const point = await benchDecode(
          native,
          planned,
          { context, batch },
          {
            ...{ device, threads: flags.threads, seed: flags.seed ?? 0, steps: flags.steps },
            stateType: flags.state === "bf16" ? "bf16" : "full",
            mostPromptTokens: device === "cpu" ? mostPromptTokens.cpu : mostPromptTokens.cuda,
          },
        );
        points.push(point);
      }
    }
    const title = `${planned.name} on ${described}, ${device === "cpu" ? "fp32" : "bf16"}, random weights, medians of ${flags.steps} tokens`;
    return {
      data: { name: planned.name, device: described, precision: device === "cpu" ? "fp32" : "bf16", points },
      text: `${title}\n\n${decodeBenchText(points, { width: 100, color: this.color })}`,
      warnings: study.warnings,
      ...nextCommand("project", args.file),
    };
  }
}
