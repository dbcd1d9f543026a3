// Which class of Hugging Face transformers could hold a model that NemotronH cannot: said in the message, so that the
// reader knows what to change or where to go. Layouts of transformers 5.18.

import type { NativeLayer } from "../block/block.js";
import type { NativeModelConfig } from "../run/native.js";

/** By kinds of layers that the native library does not run: the class whose models have them. */
const classOfKind: readonly (readonly [kind: string, name: string])[] = [
  ["kda", "KimiLinearForCausalLM"],
  ["gated_deltanet", "Qwen3NextForCausalLM or OlmoHybridForCausalLM"],
  ["rg_lru", "RecurrentGemmaForCausalLM"],
  ["short_conv", "Lfm2ForCausalLM"],
  ["lightning", "MiniMaxForCausalLM"],
  ["parallel", "FalconH1ForCausalLM"],
  ["shared_transformer", "Zamba2ForCausalLM"],
  ["mamba1", "JambaForCausalLM, or MambaForCausalLM without attention"],
  ["mla", "DeepseekV3ForCausalLM"],
  ["moe", "NemotronHForCausalLM itself"],
];

/** One sentence for a model that can only be planned. */
export function classOfKinds(kinds: ReadonlySet<string>): string {
  const found = classOfKind.find(([kind]) => kinds.has(kind));
  const without = "the native library, which makes the weights, does not run it";
  return found === undefined ? without : `${found[1]} is the class of such models, but ${without}`;
}

/** One sentence. */
export function classesThatHold(model: NativeModelConfig): string {
  const names = candidates(model);
  if (names.length > 0) {
    return `${names.join("; ")} could hold it; layermix writes NemotronH only`;
  }
  return (
    "no other class of transformers holds this layer order either; NemotronH takes mamba2, attention without " +
    "position embeddings and plain MLPs in any order"
  );
}

function candidates({ layers }: NativeModelConfig): readonly string[] {
  const kinds = new Set<string>(layers.map(({ kind }) => kind));
  if ([...kinds].some((kind) => kind !== "mamba2" && kind !== "attention" && kind !== "mlp")) return [];
  const gated = layers.filter((layer) => layer.kind === "mlp");
  const swiglu = gated.length > 0 && gated.every((layer) => layer.gated && layer.activation === "silu");
  const attention = layers.filter((layer) => layer.kind === "attention");
  const oneGroup = layers.every((layer) => layer.kind !== "mamba2" || layer.groups === 1);
  if (!inPairs(layers) || !swiglu || !oneGroup || attention.length === 0) return [];
  const share = attention[0]!.rotaryDim / attention[0]!.headDim;
  if (!kinds.has("mamba2"))
    return share === 1 ? ["LlamaForCausalLM (every block attention, then SwiGLU)"] : [];
  const bamba = "BambaForCausalLM (Mamba-2 or attention, then SwiGLU; RoPE on half of each head)";
  const granite = "GraniteMoeHybridForCausalLM (the same blocks, with full RoPE or none)";
  return share === 0.5 ? [bamba] : share === 0 || share === 1 ? [granite] : [];
}

/** Every mixer is followed by one MLP. */
function inPairs(layers: readonly NativeLayer[]): boolean {
  return layers.length % 2 === 0 && layers.every(({ kind }, index) => (kind === "mlp") === (index % 2 === 1));
}
