// config.json of a Hugging Face model, read once for two uses: `import hf` makes a study of it, `verify` runs it. What
// it means is up to the families (families/registry.ts); here is what holds for all of them, and what of a model the
// native library computes exactly: nemotron_h (layers M, * and -) and mamba2 (one group: its gated norm ignores groups).
// Whatever would change the function and is not built is refused by name when a model is to be run.

import { nativeGaps, toNativeModel } from "../plan/native_model.js";
import { planModel } from "../plan/plan.js";
import type { NativeModelConfig } from "../run/native.js";
import { ConfigFields } from "./config_fields.js";
import { families } from "./families/registry.js";
import { notBuilt } from "./families/shared_fields.js";
import { type ImportedModel, importedModel, toModelSpec } from "./imported_model.js";

export interface HuggingFaceModel {
  readonly model: NativeModelConfig;
  /**
   * Which of the native hidden states (0 = embedding, i = output of layer i - 1, layers + 1 = final norm) the
   * class returns as hidden_states.N: nemotron_h the inputs of its layers, mamba2 their outputs, both end
   * with the final norm.
   */
  readonly hiddenStates: readonly number[];
}

function readFamily(config: ConfigFields): ImportedModel {
  const type = config.text("model_type");
  const family = Object.hasOwn(families, type) ? families[type] : undefined;
  if (family === undefined) {
    throw notBuilt(config, `model_type ${type}`, `layermix reads ${Object.keys(families).join(", ")}.`);
  }
  return importedModel(config, family(config));
}

/**
 * The study model of a config.json, with what it does not carry.
 * @throws LayermixError LMX5101 (bad field), LMX5102 (a model_type or a layer that there is not)
 */
export function readModelConfig(text: string, file: string): ImportedModel & { readonly type: string } {
  const config = ConfigFields.parse(text, file, "plan");
  return { ...readFamily(config), type: config.text("model_type") };
}

/** The two classes that are run, and the native hidden state with which their hidden_states begin. */
const runnable: Readonly<Record<string, number>> = { nemotron_h: 0, mamba2: 1 };

/** The native model of a config.json. Throws LMX5101 (bad field) or LMX5102 (not built). */
export function readHuggingFaceConfig(text: string, file: string): HuggingFaceModel {
  const config = ConfigFields.parse(text, file, "run");
  const type = config.text("model_type");
  const first = Object.hasOwn(runnable, type) ? runnable[type] : undefined;
  if (first === undefined) {
    throw notBuilt(config, `model_type ${type}`, "layermix runs nemotron_h and mamba2 checkpoints.");
  }
  refuseOtherFunctions(config);
  const imported = readFamily(config);
  const plan = planModel(toModelSpec(imported), file);
  const foreign = plan.layers.find(({ block }) => block.toNative === undefined);
  if (foreign !== undefined) {
    throw notBuilt(config, `layer ${foreign.index} of kind ${JSON.stringify(foreign.block.symbol)}`);
  }
  const [obstacle] = [...imported.notCarried, ...nativeGaps(plan)];
  if (obstacle !== undefined) throw notBuilt(config, obstacle);
  const model = toNativeModel(plan);
  return { model, hiddenStates: [...model.layers.map((_, layer) => layer + first), model.layers.length + 1] };
}

/** Fields by which these classes compute something else, each with the only value that is built. */
const onlyValues: Readonly<Record<string, Readonly<Record<string, boolean | string>>>> = {
  nemotron_h: {
    use_bias: false,
    mamba_proj_bias: false,
    mlp_bias: false,
    use_conv_bias: true,
    mamba_hidden_act: "silu",
  },
  mamba2: { use_bias: false, use_conv_bias: true, hidden_act: "silu" },
};

function refuseOtherFunctions(config: ConfigFields): void {
  const type = config.text("model_type");
  for (const [name, only] of Object.entries(onlyValues[type] ?? {})) {
    const value = config.get(name) ?? only;
    if (value !== only)
      throw notBuilt(config, `${name} ${JSON.stringify(value)}`, `Only ${name} ${only} is built.`);
  }
  if (type === "nemotron_h" && config.get("sliding_window") !== undefined) {
    throw notBuilt(config, "sliding_window");
  }
  const groups = type === "mamba2" ? config.count("n_groups", 8) : 1;
  if (groups !== 1) {
    const why =
      "Mamba2ForCausalLM normalises over all channels whatever n_groups is; layermix normalises each group.";
    throw notBuilt(config, `n_groups ${groups} in model_type mamba2`, why);
  }
}
