// layermix export megatron: the arguments, read back the way argparse reads them, describe the planned model. The
// oracle is the parameter formula of Megatron's own layers, computed from the arguments alone.

import assert from "node:assert/strict";
import { countParameters } from "../../src/estimate/parameters.js";
import { type MegatronOptions, megatronArguments } from "../../src/interop/megatron_arguments.js";
import { parsePattern } from "../../src/plan/parse_pattern.js";
import { plan } from "../../src/plan/plan.js";
import { loadStudy } from "../../src/spec/load_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { layermix } from "../cli/layermix.js";

const defaults: MegatronOptions = { sequence: 4096, tensorParallel: 1, pipelineParallel: 1, initStd: 0.02 };

/** argparse: options with their values; a flag without values is true. */
function readArguments(list: readonly (readonly string[])[]): Record<string, string> {
  return Object.fromEntries(
    list.map(([option, ...values]) => {
      assert.match(option!, /^--[a-z0-9-]+(=.+)?$/);
      for (const value of values) assert.doesNotMatch(value, /^-/, "argparse would take it for an option");
      const [name, joined] = option!.split("=");
      return [name!.slice(2), joined ?? (values.join(" ") || "true")];
    }),
  );
}

/** Parameters of the model that the arguments launch: Megatron's layers without biases, padded vocabulary. */
function megatronParameters(args: Record<string, string>): number {
  const n = (name: string, fallback?: number): number => {
    const value = args[name] === undefined ? fallback : Number(args[name]);
    assert.ok(value !== undefined && Number.isFinite(value), name);
    return value;
  };
  const h = n("hidden-size");
  const [state, headDim, groups] = [
    n("mamba-state-dim", 128),
    n("mamba-head-dim", 64),
    n("mamba-num-groups", 8),
  ];
  const heads = n("mamba-num-heads", (2 * h) / headDim);
  const d = heads * headDim;
  const c = d + 2 * groups * state;
  const queries = n("num-attention-heads");
  const keys = args["group-query-attention"] === undefined ? queries : n("num-query-groups");
  const kv = n("kv-channels", h / queries);
  const ffn = n("ffn-hidden-size", 4 * h);
  const cost: Record<string, number> = {
    M: h + h * (d + c + heads) + c * 4 + c + 3 * heads + d + d * h,
    "*": h + h * kv * (2 * queries + 2 * keys),
    "-": h + h * ffn * (args.swiglu === undefined ? 2 : 3),
    E: 0,
    "|": 0,
  };
  if (args["num-experts"] !== undefined) {
    const experts = n("num-experts");
    const latent = args["moe-latent-size"] === undefined ? h : n("moe-latent-size");
    const expert = h + (args.swiglu === undefined ? 2 : 3) * latent * n("moe-ffn-hidden-size");
    const shared = (args.swiglu === undefined ? 2 : 3) * h * n("moe-shared-expert-intermediate-size", 0);
    cost.E = h + experts * expert + shared + (latent === h ? 0 : 2 * h * latent);
  }
  const unit = n("make-vocab-size-divisible-by", 128) * n("tensor-model-parallel-size", 1);
  const padded = Math.ceil(n("vocab-size") / unit) * unit;
  const copies = args["untie-embeddings-and-output-weights"] === undefined ? 1 : 2;
  const layers = [...args["hybrid-layer-pattern"]!].reduce((sum, symbol) => sum + cost[symbol]!, 0);
  return layers + h + copies * padded * h;
}

function planOf(model: string) {
  return plan(parseStudy(`layermix: 1\nname: x\nmodel:\n${model}`, { file: "x.yaml", folder: "." }).spec);
}

const small = (blocks: string, rest = "") => `  pattern: "M*-M-"
  hidden: 64
  vocab: 512
${rest}  blocks:
${blocks}`;

describe("layermix export megatron", () => {
  it("launches models of as many parameters as planned", async () => {
    for (const preset of ["mamba2-hybrid-8b", "mamba2-8b", "transformer-8b", "nemotron-h-8b"]) {
      const { spec } = await loadStudy(`preset:${preset}`, { set: [] });
      const planned = plan(spec);
      const { arguments: list } = megatronArguments(planned, defaults);
      assert.equal(megatronParameters(readArguments(list)), countParameters(planned).total, preset);
    }
  });

  it("gives every dimension of every layer", () => {
    const planned = planOf(
      small(
        "    mamba2: { state: 16, heads: 6, head_dim: 8, groups: 2 }\n" +
          "    attention: { heads: 8, kv_heads: 2, head_dim: 32, position: { kind: rope, theta: 500000, fraction: 0.5 } }\n" +
          "    mlp: { width: 192, activation: silu, gated: true }\n",
        "  tie_embeddings: true\n  norm: { kind: rmsnorm, eps: 1e-6 }\n",
      ),
    );
    const { arguments: list, notes } = megatronArguments(planned, { ...defaults, sequence: 8192 });
    const args = readArguments(list);
    assert.equal(megatronParameters(args), countParameters(planned).total);
    assert.equal(args["position-embedding-type"], "rope");
    assert.deepEqual([args["rotary-base"], args["rotary-percent"]], ["500000", "0.5"]);
    assert.equal(args.swiglu, "true");
    assert.equal(args["untie-embeddings-and-output-weights"], undefined);
    assert.equal(Number(args["norm-epsilon"]), 1e-6);
    assert.deepEqual([args["seq-length"], args["max-position-embeddings"]], ["8192", "8192"]);
    assert.ok(notes.some((note) => note.includes("gated norm keeps eps 1e-5")));
    assert.ok(notes.some((note) => note.includes("2 x hidden = 128 channels")));
  });

  it("gives Megatron a LayerNorm, though not beside norms of q and k", () => {
    const text = (attention: string) => small(attention, "  norm: { kind: layernorm }\n");
    const planned = planOf(text("    mlp: { width: 192 }\n"));
    const { arguments: list } = megatronArguments(planned, defaults);
    assert.equal(readArguments(list).normalization, "LayerNorm");
    assert.throws(
      () => megatronArguments(planOf(text("    attention: { qk_norm: head }\n")), defaults),
      /RMSNorms of q and k beside LayerNorms/,
    );
  });

  it("names the activation that the native MLP computes", () => {
    const flags = (activation: string) =>
      readArguments(
        megatronArguments(planOf(small(`    mlp: { activation: ${activation} }\n`)), defaults).arguments,
      );
    assert.equal(flags("gelu")["openai-gelu"], "true");
    assert.equal(flags("relu2")["squared-relu"], "true");
  });

  it("describes mixtures of experts: routed, shared, latent", () => {
    const planned = planOf(
      small(
        "    mlp: { width: 192, activation: relu2 }\n" +
          "    moe: { experts: 12, top_k: 3, width: 48, shared_width: 96, latent: 32, activation: relu2 }\n",
      ).replace("M*-M-", "ME*-E"),
    );
    const { arguments: list, notes, pattern } = megatronArguments(planned, defaults);
    const args = readArguments(list);
    assert.equal(pattern, "ME*-E");
    assert.equal(megatronParameters(args), countParameters(planned).total);
    assert.deepEqual([args["moe-router-topk"], args["squared-relu"]], ["3", "true"]);
    assert.ok(notes.some((note) => note.includes("--moe-router-score-function")));
  });

  it("names layers by Megatron's symbols, and refuses two shapes of one kind", () => {
    const blocks = (heads: number) =>
      `    attention: { heads: 4, head_dim: 16 }\n    global: { kind: attention, symbol: g, heads: ${heads}, head_dim: 16 }\n`;
    const named = (heads: number) => planOf(small(blocks(heads)).replace("M*-M-", "M*Mg-"));
    assert.equal(megatronArguments(named(4), defaults).pattern, "M*M*-");
    assert.throws(() => megatronArguments(named(2), defaults), /attention layers of different shapes/);
  });

  it("cuts the pattern into pipeline stages that Megatron's parser takes apart again", async () => {
    const { spec } = await loadStudy("preset:mamba2-hybrid-8b", { set: [] });
    const planned = plan(spec);
    for (const stages of [1, 2, 3, 4, 7, 56]) {
      const { pattern } = megatronArguments(planned, { ...defaults, pipelineParallel: stages });
      const lengths = pattern.split("|").map(({ length }) => length);
      assert.equal(lengths.length, stages);
      assert.ok(Math.max(...lengths) - Math.min(...lengths) <= 1);
      const parsed = parsePattern(pattern);
      assert.deepEqual([parsed.layers, parsed.main!.replaceAll("|", "")], [56, planned.pattern]);
    }
  });

  it("pads no vocabulary that it need not", () => {
    const padding = (vocab: number, tensorParallel: number) => {
      const planned = planOf(
        small("    mamba2: { head_dim: 16, groups: 4 }\n").replace("512", String(vocab)),
      );
      const { arguments: list, notes } = megatronArguments(planned, { ...defaults, tensorParallel });
      const args = readArguments(list);
      const unit = Number(args["make-vocab-size-divisible-by"]) * tensorParallel;
      return [Math.ceil(vocab / unit) * unit, notes.some((note) => note.includes("pads the vocabulary"))];
    };
    assert.deepEqual(padding(50257, 1), [50257, false]);
    assert.deepEqual(padding(256000, 4), [256000, false]);
    assert.deepEqual(padding(50257, 2), [50258, true]);
  });

  it("writes a pattern that begins with a dash so that argparse takes it", () => {
    const planned = planOf(small("    mlp: { width: 64 }\n").replace("M*-M-", "-M*-"));
    assert.deepEqual(megatronArguments(planned, defaults).arguments[0], ["--hybrid-layer-pattern=-M*-"]);
  });

  it("refuses by name what Megatron has no argument for", async () => {
    const study = `layermix: 1
name: odd
model:
  pattern: "M*-"
  hidden: 64
  vocab: 512
  blocks:
    mamba2: { conv: 3, groups: 2 }
    mlp: { activation: relu2, gated: true }
`;
    const { code, stdout, stderr } = await layermix(
      ["export", "megatron", "-", "--tensor-parallel", "3", "--json"],
      {
        input: study,
      },
    );
    assert.deepEqual([code, stderr], [4, ""]);
    const messages = JSON.parse(stdout).errors.map(({ message }: { message: string }) => message);
    for (const part of [
      "3 taps",
      "an MLP with a gate and relu2",
      "2 Mamba groups for 3",
      "attention heads for 3",
    ]) {
      assert.ok(
        messages.some((message: string) => message.includes(part)),
        `${part} in ${messages}`,
      );
    }
  });

  it("prints arguments that a shell hands over as they are", async () => {
    const { code, stdout, stderr } = await layermix(["export", "megatron", "preset:mamba2-hybrid-8b"]);
    assert.equal(code, 0);
    assert.match(stdout, /^--hybrid-layer-pattern 'M-M-M--M-M\*-M-M-M-M--M\*-[M*-]+' \\\n--spec /);
    assert.match(stderr, /note: the vocabulary follows the tokenizer/);
    assert.ok(stdout.endsWith("--pipeline-model-parallel-size 1\n"));
  });
});
