// `layermix export hf`: a model as a Hugging Face checkpoint folder.

import { freemem } from "node:os";
import { Args, Flags } from "@oclif/core";
import { exportHuggingFace, type HuggingFaceExport } from "../../../interop/export_huggingface.js";
import {
  initialWeights,
  isCheckpointPath,
  type ModelWeights,
  trainedWeights,
} from "../../../interop/model_weights.js";
import { nemotronHConfig, refuseUntrainable } from "../../../interop/nemotronh_config.js";
import { recordRun } from "../../../interop/record_run.js";
import { toNativeModel } from "../../../plan/native_model.js";
import { plan } from "../../../plan/plan.js";
import { formatBytes } from "../../../report/format.js";
import { loadNative } from "../../../run/load_native.js";
import { defaults } from "../../../spec/defaults.js";
import { loadStudy } from "../../../spec/load_study.js";
import { locating } from "../../../spec/locate_error.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { usageError } from "../../failure.js";
import { commandLine } from "../../next_command.js";
import { lengthFlag } from "../../quantity_flags.js";
import { sharedFlags } from "../../shared_flags.js";

export class ExportHuggingFace extends LayermixCommand {
  static override summary = "Write a model as a Hugging Face checkpoint (NemotronH).";
  static override description =
    "Writes config.json and model.safetensors, which transformers loads as NemotronHForCausalLM without a missing, " +
    "unexpected or re-initialised key, and reads them back bit by bit. From a run of layermix train, or from a study " +
    "file with freshly initialised weights. RoPE, gated MLPs and whatever else the class cannot express is refused.";
  static override examples = [
    "<%= config.bin %> export hf layermix-studies/mine-train -o mine-hf",
    "<%= config.bin %> export hf study.yaml --seed 7 -o fresh",
    "<%= config.bin %> export hf layermix-studies/mine-train -o mine-hf --record 64 && <%= config.bin %> verify mine-hf",
  ];
  static override args = {
    source: Args.string({
      description:
        "A run's folder, a trial's folder or its checkpoint.safetensors; or a study file, preset:NAME, -.",
      required: true,
    }),
  };
  static override flags = {
    out: Flags.string({
      char: "o",
      description: "Folder to write to. Example: -o mine-hf",
      helpValue: "DIR",
      required: true,
    }),
    dtype: Flags.string({
      description: "Type of the matrices; A_log, D and dt_bias stay fp32. Example: --dtype bf16",
      options: ["fp32", "bf16"],
      default: "fp32",
    }),
    record: lengthFlag(
      "record",
      "Also run the export on this many tokens and write io.safetensors, for `layermix verify DIR`. Example: --record 64",
    ),
    force: Flags.boolean({ description: "Overwrite a checkpoint that is there. Example: --force" }),
    seed: sharedFlags.weightsSeed,
    set: sharedFlags.set,
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportHuggingFace);
    if (flags.record !== undefined && flags.record < 2) {
      throw usageError("LMX6005", `Expected --record to be at least 2 tokens, got ${flags.record}`, [
        "half of them are the prompt that the other half is decoded from",
      ]);
    }
    const weights = await openWeights(args.source, flags);
    let result: HuggingFaceExport;
    try {
      result = exportHuggingFace(weights, flags.out, {
        dtype: flags.dtype === "bf16" ? "bfloat16" : "float32",
        overwrite: flags.force,
      });
    } finally {
      weights.close();
    }
    const recorded =
      flags.record === undefined ? null : await recordRun(loadNative("cpu"), flags.out, flags.record);
    return {
      data: { ...result, recorded },
      text: exportText(result, recorded),
      ...(recorded !== null && {
        next: commandLine(["layermix", "verify", flags.out, "--precision", "fp32"]),
      }),
    };
  }
}

async function openWeights(
  source: string,
  flags: { readonly seed?: number | undefined; readonly set?: readonly string[] | undefined },
): Promise<ModelWeights> {
  if (isCheckpointPath(source)) {
    if (flags.seed !== undefined || flags.set !== undefined) {
      const message = "--seed and --set change a study file; a trained checkpoint is exported as it is";
      throw usageError("LMX6006", message);
    }
    return trainedWeights(source);
  }
  const { spec, document } = await loadStudy(source, { set: flags.set ?? [] });
  return locating(document, () => {
    const planned = plan(spec);
    refuseUntrainable(planned);
    const model = toNativeModel(planned);
    nemotronHConfig(model, "float32"); // refuses what the class cannot hold, before memory is asked for
    return initialWeights(loadNative("cpu"), model, {
      seed: flags.seed ?? 0,
      initStd: spec.proxy?.initStd ?? defaults.proxy.initStd,
      memoryBytes: freemem(),
    });
  });
}

function exportText(result: HuggingFaceExport, recorded: string | null): string {
  const { folder, pattern, origin, dtype, tensors, parameters, bytes, notes } = result;
  return [
    `${folder}: NemotronHForCausalLM, ${origin}`,
    `  pattern     ${pattern}`,
    `  parameters  ${parameters.toLocaleString("en-US")} in ${tensors} tensors of ${dtype}, ${formatBytes(bytes)}`,
    "  read back   every bit as written",
    ...(recorded === null ? [] : [`  recorded    ${recorded}`]),
    ...notes.map((note) => `  note: ${note}`),
  ].join("\n");
}
