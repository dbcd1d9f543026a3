// config.json -> study. The oracle of every count is transformers itself: published models, random small models of every
// family, and lists of the weights that it saves.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { estimate } from "../../src/estimate/estimate.js";
import { layerParameters } from "../../src/estimate/parameters.js";
import { families } from "../../src/interop/families/registry.js";
import { readModelConfig } from "../../src/interop/huggingface_config.js";
import { importHuggingFace, importWarnings } from "../../src/interop/import_huggingface.js";
import { toModelSpec } from "../../src/interop/imported_model.js";
import { plan, planModel } from "../../src/plan/plan.js";
import { loadStudy } from "../../src/spec/load_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

interface Vector {
  readonly name?: string;
  readonly config: { readonly model_type: string } & Readonly<Record<string, unknown>>;
  readonly totalParams: number;
  readonly activeParams: number;
  readonly embeddingParams?: number;
}
const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8"));
const published = fixture("published_models").models as Vector[];
const random = fixture("huggingface_random_models").models as Vector[];

const read = (config: object) => readModelConfig(JSON.stringify(config), "config.json");
const planOf = (config: object) => planModel(toModelSpec(read(config)), "imported");

describe("import hf: parameters", () => {
  for (const { name, config, totalParams, activeParams, embeddingParams } of published) {
    it(`of ${name}: ${totalParams}, ${activeParams} active`, () => {
      const { params } = estimate(planOf(config));
      assert.deepEqual(
        [params.total, params.active, params.embedding],
        [totalParams, activeParams, embeddingParams],
      );
    });
  }

  it("has random models of every family to compare with", () => {
    const types = new Set(random.map(({ config }) => config.model_type));
    assert.deepEqual([...types].sort(), Object.keys(families).sort());
    assert.equal(random.length, 89);
  });

  for (const type of Object.keys(families)) {
    it(`of random ${type} models`, () => {
      for (const { config, totalParams, activeParams } of random.filter(
        (m) => m.config.model_type === type,
      )) {
        const { params } = estimate(planOf(config));
        const shown = JSON.stringify(config);
        assert.deepEqual([params.total, params.active], [totalParams, activeParams], shown);
        const parts = Object.values(params.byKind).reduce((sum, count) => sum + count, params.embedding);
        assert.equal(parts, params.total, shown);
      }
    });
  }
});

describe("import hf: caches", () => {
  /**
   * Shapes of one layer's cache tensors without the batch after 40 tokens, recorded from the first random model of each
   * family (transformers 5.18.0): elements of KV per token, recurrent state, and convolution channels x kept columns (the
   * taps; layermix keeps one less).
   */
  const recorded: Record<string, { kv?: number; state?: number; channels?: number; taps?: number }> = {
    nemotron_h: { kv: 2 * 2 * 20, state: 4 * 4 * 8, channels: 48, taps: 4 },
    bamba: { kv: 2 * 2 * 8, state: 8 * 8 * 8, channels: 80, taps: 4 },
    jamba: { kv: 2 * 2 * 16, state: 128 * 16, channels: 128, taps: 3 },
    granitemoehybrid: { kv: 2 * 2 * 8, state: 8 * 8 * 8, channels: 96, taps: 4 },
    falcon_h1: { kv: 2 * 1 * 8, state: 3 * 16 * 8, channels: 64, taps: 3 },
    qwen3_next: { kv: 2 * 2 * 16, state: 2 * 4 * 4, channels: 16, taps: 3 },
    mamba2: { state: 8 * 8 * 16, channels: 96, taps: 3 },
    mamba: { state: 48 * 16, channels: 48, taps: 4 },
    falcon_mamba: { state: 64 * 8, channels: 64, taps: 3 },
    lfm2: { kv: 2 * 2 * 16, channels: 64, taps: 4 },
    kimi_linear: { kv: 16 + 8, state: 4 * 8 * 8, channels: 96, taps: 4 },
    olmo_hybrid: { kv: 2 * 1 * 16, state: 4 * 4 * 12, channels: 64, taps: 3 },
    zamba2: { kv: 2 * 4 * 16, state: 8 * 8 * 16, channels: 96, taps: 3 },
  };
  for (const [type, { kv = 0, state = 0, channels = 0, taps = 1 }] of Object.entries(recorded)) {
    it(`of ${type} hold what those of transformers hold`, () => {
      const { layers } = planOf(random.find(({ config }) => config.model_type === type)!.config);
      const largest = (measure: (layer: (typeof layers)[number]) => number) =>
        Math.max(...layers.map(measure));
      assert.equal(
        largest(({ block, options }) => block.kvElementsPerToken(options)),
        kv,
      );
      assert.equal(
        largest(({ block, options }) => block.recurrentElementsPerSequence(options)),
        state,
      );
      const all = largest(({ block, options }) => block.stateElementsPerSequence(options));
      assert.equal(all, state + channels * (taps - 1));
    });
  }
});

describe("import hf: weights by name", () => {
  const lists = fixture("golden_weight_lists").models as Record<
    string,
    { config: object; params: number; weights: Record<string, number[]> }
  >;
  const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

  for (const [name, { config, params, weights }] of Object.entries(lists)) {
    it(`${name}: every layer holds what its weights hold`, () => {
      const planned = planOf(config);
      const context = { hidden: planned.hidden, layers: planned.layers.length };
      const byBlock = new Map<string, number>();
      for (const [weight, shape] of Object.entries(weights)) {
        const [, index] = /\.layers\.(\d+)\./.exec(weight) ?? [];
        if (index === undefined || weight.endsWith("e_score_correction_bias")) continue; // a buffer
        byBlock.set(index, (byBlock.get(index) ?? 0) + elements(shape));
      }
      // A block of these classes is one or two residual sub-blocks.
      const perBlock = planned.layers.length / byBlock.size;
      assert.ok(perBlock === 1 || perBlock === 2);
      for (const [index, expected] of byBlock) {
        const own = planned.layers.slice(Number(index) * perBlock, (Number(index) + 1) * perBlock);
        const got = own.reduce(
          (sum, { block, options }) => sum + layerParameters(block, options, context),
          0,
        );
        assert.equal(got, expected, `block ${index}`);
      }
      assert.equal(estimate(planned).params.total, params);
    });
  }
});

describe("import hf: the study", () => {
  const temporaryFolder = useTemporaryFolder();
  const byName = (name: string) => published.find((model) => model.name === name)!.config;

  it("is a study file that plans to the same numbers, for every family", async () => {
    const folder = temporaryFolder();
    const seen = new Set<string>();
    for (const { config } of [...published, ...random]) {
      if (seen.has(config.model_type)) continue;
      seen.add(config.model_type);
      const source = join(folder, config.model_type);
      mkdirSync(source);
      writeFileSync(join(source, "config.json"), JSON.stringify(config));
      const { text, plan: planned, type } = importHuggingFace(source);
      assert.equal(type, config.model_type);
      writeFileSync(join(source, "study.yaml"), text);
      const { spec, warnings } = await loadStudy(join(source, "study.yaml"));
      assert.deepEqual(warnings, []);
      const again = plan(spec);
      assert.equal(again.pattern, planned.pattern);
      assert.deepEqual(estimate(again), estimate(planOf(config)), config.model_type);
    }
  });

  const presets: Record<string, string> = {
    "nvidia mamba2-hybrid-8b-3t (as NemotronH)": "mamba2-hybrid-8b",
    "nvidia mamba2-8b-3t pure (56 M)": "mamba2-8b",
    "8B transformer *- x32 (relu2, GQA8->MHA)": "transformer-8b",
    "train.sh 800M hybrid": "mamba2-hybrid-800m",
    "Nemotron-H-4B": "nemotron-h-4b",
    "Nemotron-H-8B": "nemotron-h-8b",
    "Nemotron-H-56B": "nemotron-h-56b",
    "Nemotron-Nano-9B-v2": "nemotron-nano-9b-v2",
    "Nemotron-3-Nano-30B-A3B": "nemotron-3-nano-30b",
    "Bamba-9B": "bamba-9b",
    "Jamba-v0.1 / 1.5-Mini": "jamba-1.5-mini",
    "Granite-4.0-H-Tiny": "granite-4.0-h-tiny",
    "Granite-4.0-H-1B": "granite-4.0-h-1b",
    "Falcon-H1-1.5B": "falcon-h1-1.5b",
    "Falcon-H1-7B": "falcon-h1-7b",
    "Qwen3-Next-80B-A3B": "qwen3-next-80b",
    "Mamba-Codestral-7B": "codestral-mamba-7b",
    "Falcon-Mamba-7B": "falcon-mamba-7b",
    "RecurrentGemma-2B": "recurrentgemma-2b",
    "LFM2-2.6B": "lfm2-2.6b",
    "MiniMax-Text-01": "minimax-text-01",
    "Kimi-Linear-48B-A3B": "kimi-linear-48b",
    "OLMo-Hybrid-7B": "olmo-hybrid-7b",
    "Zamba2-2.7B": "zamba2-2.7b",
  };

  it("has a preset for every published model", () =>
    assert.deepEqual(
      Object.keys(presets),
      published.map(({ name }) => name),
    ));

  for (const [name, preset] of Object.entries(presets)) {
    it(`of ${name} costs what preset:${preset} costs`, async () => {
      const { spec } = await loadStudy(`preset:${preset}`);
      const imported = estimate(planOf(byName(name)));
      const shipped = estimate(plan(spec));
      assert.deepEqual(shipped.params, imported.params);
      assert.equal(shipped.memory.kvBytesPerToken, imported.memory.kvBytesPerToken);
      assert.equal(shipped.memory.stateBytesPerSequence, imported.memory.stateBytesPerSequence);
      assert.equal(shipped.flops.forward, imported.flops.forward);
    });
  }

  it("says what it does not carry", () => {
    const scaled = { ...byName("Falcon-H1-7B"), key_multiplier: 0.5, embedding_multiplier: 5 };
    const folder = temporaryFolder();
    writeFileSync(join(folder, "config.json"), JSON.stringify(scaled));
    const study = importHuggingFace(folder, "scaled");
    assert.match(study.text, /scaling: \{ embedding: 5 \}/);
    assert.match(study.text, /# - key_multiplier 0.5/);
    assert.deepEqual(
      importWarnings(study).map(({ code, message }) => [code, message]),
      [["LMX5106", "Not carried into the study: key_multiplier 0.5"]],
    );
  });

  it("reads the older names of Kimi Linear and of RoPE", () => {
    const {
      layer_types,
      mlp_layer_types,
      linear_head_dim,
      linear_num_heads,
      linear_conv_kernel_dim,
      ...rest
    } = byName("Kimi-Linear-48B-A3B") as Record<string, unknown>;
    const full = (layer_types as string[]).flatMap((type, i) => (type === "full_attention" ? [i + 1] : []));
    const older = {
      ...rest,
      first_k_dense_replace: 1,
      linear_attn_config: {
        full_attn_layers: full,
        kda_layers: [],
        head_dim: linear_head_dim,
        num_heads: linear_num_heads,
        short_conv_kernel_size: linear_conv_kernel_dim,
      },
    };
    assert.deepEqual(read(older), read(byName("Kimi-Linear-48B-A3B")));
    const llama = { ...random.find(({ config }) => config.model_type === "llama")!.config };
    const { rope_parameters: _new, ...oldLlama } = llama;
    const theta = (config: object) => (read(config).blocks.attention!.position as { theta: number }).theta;
    assert.equal(theta({ ...oldLlama, rope_theta: 5e5 }), 5e5);
    assert.deepEqual(read({ ...oldLlama, rope_scaling: { rope_type: "llama3" } }).notCarried, [
      "scaled RoPE frequencies (llama3)",
    ]);
  });
});

describe("import hf: broken and hostile configurations", () => {
  const temporaryFolder = useTemporaryFolder();
  const jamba = published.find(({ config }) => config.model_type === "jamba")!.config;
  const mamba = random.find(({ config }) => config.model_type === "mamba")!.config;
  const refused: [string, string, string][] = [
    ["no JSON", "{", "LMX5101: Expected a string key, got the end at line 1, column 2 of FILE"],
    ["a list", "[]", "LMX5101: Expected a JSON object in FILE"],
    [
      "another family",
      '{"model_type":"gpt2"}',
      "LMX5102: Expected a model that layermix can plan, got model_type gpt2 in FILE",
    ],
    [
      "a family that is a member of every object",
      '{"model_type":"constructor"}',
      "LMX5102: Expected a model that layermix can plan, got model_type constructor in FILE",
    ],
    [
      "a missing size",
      JSON.stringify({ ...jamba, intermediate_size: undefined }),
      "LMX5101: Expected a positive integer at intermediate_size in FILE, got nothing",
    ],
    [
      "more layers than anyone has",
      JSON.stringify({ ...mamba, num_hidden_layers: 1e9 }),
      "LMX5101: Expected at most 10000 layers at num_hidden_layers in FILE, got 1000000000",
    ],
    [
      "a layer type of its own",
      JSON.stringify({ ...jamba, layers_block_type: ["mamba", "toString"] }),
      'LMX5102: Expected a model that layermix can plan, got layer 1 of type "toString" in FILE',
    ],
    [
      "heads that do not divide",
      JSON.stringify({ ...jamba, num_key_value_heads: 7 }),
      "LMX5105: Expected kv_heads to divide the 32 heads, got 7, at model.blocks.attention (read from FILE)",
    ],
    ["a width beyond the study file's", JSON.stringify({ ...jamba, hidden_size: 2 ** 50 }), "LMX5105: "],
    [
      "a section that is none",
      JSON.stringify({ ...mamba, model_type: "llama", rope_parameters: 3 }),
      "LMX5101: ",
    ],
    ["depth", "[".repeat(100_000), "LMX5101: "],
    [
      "size",
      " ".repeat(5 * 1024 * 1024),
      "LMX5101: Expected a config.json of at most 4 MiB, got more in FILE",
    ],
  ];
  for (const [title, text, message] of refused) {
    it(`refuses ${title}`, () => {
      const file = join(temporaryFolder(), "config.json");
      writeFileSync(file, text);
      assert.throws(
        () => importHuggingFace(file),
        (error: unknown) => {
          assert.ok(error instanceof LayermixError, String(error));
          assert.equal(error.exitCode, 3);
          const expected = message.replaceAll("FILE", file);
          const { code, message: got } = error.diagnostics[0]!;
          assert.ok(`${code}: ${got}`.startsWith(expected), `${code}: ${got}`);
          return true;
        },
      );
    });
  }

  it("refuses what is not there, and reads no more than the limit of a device", () => {
    assert.throws(() => importHuggingFace("/no/such/folder"), /Expected to read \/no\/such\/folder/);
    assert.throws(() => importHuggingFace("/dev/zero"), /at most 4 MiB/);
  });
});
