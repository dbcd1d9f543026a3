// A valid study becomes a Spec: every default filled in, shares as fractions, counts as numbers.

import assert from "node:assert/strict";
import { parseStudy } from "../../src/spec/parse_study.js";
import { readStudySchema } from "../../src/spec/study_schema.js";
import { adamw, modelDefaults } from "../plan/example_models.js";

/** The example of the documentation, complete. */
const example = `
layermix: 1
name: attention-share
model:
  layers: 56
  hidden: 4096
  vocab: 256000
  tie_embeddings: false
  mix: { mamba2: 43%, attention: 7%, mlp: 50% }
  placement: even
  norm: { kind: rmsnorm, eps: 1e-5 }
  blocks:
    mamba2: { state: 128, head_dim: 64, groups: 8, expand: 2, conv: 4 }
    attention: { heads: 32, kv_heads: 8, head_dim: 128, position: none }
    mlp: { width: 16384, activation: gelu, gated: false }
sweep:
  over:
    mix.attention: [0%, 4%, 8%, 12.5%, 25%, 50%]
    mix.mlp: [50%]
  fill: mamba2
  match: { params: 2% }
  where: [ { metric: training_memory, max: 80GB } ]
  strategy: grid
proxy:
  model: { layers: 24, hidden: 256, vocab: 512 }
  sequence: 512
  batch_tokens: 16384
  tokens: 20M
  seeds: 3
  optimizer: { kind: adamw, lr: 1e-3, betas: [0.9, 0.95], weight_decay: 0.1, warmup: 2%, schedule: cosine, clip: 1.0 }
  tasks:
    - { task: text, files: ["corpus/*.txt"], tokenizer: bytes, weight: 1 }
    - { task: recall, pairs: 32, weight: 2, sequence: 1K }
rank: { by: score, confidence: 95% }
project:
  hardware: h200
  contexts: [4K, 32K, 128K]
  batch: 32
  baseline: transformer-8b
`;

describe("the resolved study", () => {
  it("is the same however the file spells it", () => {
    const plain =
      "model:\n  layers: 16\n  hidden: 64\n  vocab: 1000\n  mix: { mamba2: 50%, attention: 25%, mlp: 25% }\n";
    const expected = parseStudy(plain, { file: "study.yaml" }).spec;
    const spellings: Readonly<Record<string, string>> = {
      "a byte order mark": `\ufeff${plain}`,
      "Windows line ends": plain.replaceAll("\n", "\r\n"),
      "no last line end": plain.trimEnd(),
      "document markers": `---\n${plain}...\n`,
      "hexadecimal, octal and exponents": plain
        .replace("16", "0x10")
        .replace("64", "0o100")
        .replace("1000", "+1e3"),
      fractions: plain.replace("50%", ".5").replace("25%", "0.25").replace("25%", "25.0 %"),
      JSON: JSON.stringify({
        model: {
          layers: 16,
          hidden: 64,
          vocab: 1000,
          mix: { mamba2: 0.5, attention: "25%", mlp: 0.25 },
        },
      }),
    };
    for (const [what, text] of Object.entries(spellings)) {
      assert.deepEqual(parseStudy(text, { file: "study.yaml" }).spec, expected, what);
      const bytes = parseStudy(new TextEncoder().encode(text), { file: "study.yaml" });
      assert.deepEqual(bytes.spec, expected, `${what}, as bytes`);
    }
  });

  it("holds every value of the complete example", () => {
    const { spec, warnings } = parseStudy(example, { file: "study.yaml", folder: "/studies" });
    assert.deepEqual(warnings, []);
    assert.deepEqual(spec, {
      name: "attention-share",
      file: "study.yaml",
      folder: "/studies",
      model: modelDefaults,
      sweep: {
        over: [
          { path: "mix.attention", values: [0, 0.04, 0.08, 0.125, 0.25, 0.5] },
          { path: "mix.mlp", values: [0.5] },
        ],
        fill: "mamba2",
        match: { on: "params", tolerance: 0.02 },
        where: [{ metric: "training_memory", max: 80e9 }],
        strategy: { kind: "grid" },
      },
      proxy: {
        model: { layers: 24, hidden: 256, vocab: 512 },
        sequence: 512,
        batchTokens: 16384,
        tokens: 20_000_000,
        seeds: 3,
        optimizer: adamw,
        tasks: [
          { task: "text", weight: 1, options: { files: ["corpus/*.txt"], tokenizer: "bytes" } },
          { task: "recall", weight: 2, options: { pairs: 32 }, sequence: 1024 },
        ],
        initStd: 0.02,
        evaluateEvery: 0.25,
      },
      rank: { by: "score", confidence: 0.95, objectives: ["decode_bytes"] },
      project: { hardware: "h200", contexts: [4096, 32768, 131072], batch: 32, baseline: "transformer-8b" },
    });
  });

  it("fills in every default of the smallest file", () => {
    const text = 'model: { hidden: 64, vocab: 100, pattern: "M-M*" }';
    const { spec } = parseStudy(text, { file: "small.yaml", defaultName: "small" });
    assert.deepEqual(spec, {
      name: "small",
      file: "small.yaml",
      folder: ".",
      model: {
        layout: { kind: "pattern", pattern: "M-M*" },
        hidden: 64,
        vocab: 100,
        tieEmbeddings: false,
        norm: { kind: "rmsnorm", eps: 1e-5 },
        blocks: {},
      },
      rank: { by: "score", confidence: 0.95, objectives: ["decode_bytes"] },
    });
  });

  it("fills in the defaults of a proxy and a projection", () => {
    const text = `
model: { hidden: 64, vocab: 100, pattern: "M-M*" }
proxy: { tokens: 1M, tasks: [ { task: recall } ] }
project: {}`;
    const { spec } = parseStudy(text, { file: "small.yaml" });
    assert.deepEqual(spec.proxy, {
      model: {},
      sequence: 512,
      batchTokens: 16384,
      tokens: 1_000_000,
      seeds: 3,
      optimizer: adamw,
      tasks: [{ task: "recall", weight: 1, options: {} }],
      initStd: 0.02,
      evaluateEvery: 0.25,
    });
    assert.deepEqual(spec.project, { hardware: "h200", contexts: [4096, 32768, 131072], batch: 32 });
  });

  it("reads every placement, strategy and match", () => {
    const specOf = (text: string) => parseStudy(text, { file: "f.yaml" }).spec;
    const model = (rest: string) =>
      `model: { layers: 8, hidden: 64, vocab: 100, mix: { mamba2: 100% }${rest} }`;
    const placement = (text: string) => {
      const { layout } = specOf(model(`, placement: ${text}`)).model;
      return layout.kind === "mix" ? layout.placement : undefined;
    };
    assert.deepEqual(placement("alternate"), { kind: "alternate" });
    assert.deepEqual(placement("halves"), { kind: "halves" });
    assert.deepEqual(placement("{ every: 4 }"), { kind: "every", every: 4 });
    assert.deepEqual(placement("{ at: [5, 2] }"), { kind: "at", at: [2, 5] });
    const sweep = (rest: string) =>
      specOf(`${model("")}\nsweep: { over: { hidden: [64, 128] }, ${rest} }`).sweep!;
    assert.deepEqual(sweep("strategy: { random: { trials: 7 } }").strategy, { kind: "random", trials: 7 });
    assert.deepEqual(sweep("strategy: { halving: { rungs: 3 } }").strategy, {
      kind: "halving",
      rungs: 3,
      keep: 0.5,
    });
    assert.deepEqual(sweep("match: { flops: 1% }").match, { on: "flops", tolerance: 0.01 });
    assert.equal(sweep("match: none").match, undefined);
  });

  it("agrees with the defaults that the JSON Schema tells editors", () => {
    const definitions = (
      readStudySchema() as { $defs: Record<string, { properties: Record<string, { default: unknown }> }> }
    ).$defs;
    const stated = (name: string, key: string) => definitions[name]!.properties[key]!.default;
    const { spec } = parseStudy(
      'model: { hidden: 64, vocab: 100, pattern: "M" }\nproject: {}\nproxy: { tokens: 1M, tasks: [ { task: copy } ] }',
      { file: "f.yaml" },
    );
    const proxy = spec.proxy!;
    assert.equal(stated("proxy", "sequence"), proxy.sequence);
    assert.equal(stated("proxy", "batch_tokens"), proxy.batchTokens);
    assert.equal(stated("proxy", "seeds"), proxy.seeds);
    assert.equal(stated("proxy", "init_std"), proxy.initStd);
    assert.equal(stated("proxy", "evaluate_every"), `${proxy.evaluateEvery * 100}%`);
    assert.equal(stated("optimizer", "lr"), proxy.optimizer.learningRate);
    assert.deepEqual(stated("optimizer", "betas"), proxy.optimizer.betas);
    assert.equal(stated("optimizer", "eps"), proxy.optimizer.epsilon);
    assert.equal(stated("optimizer", "weight_decay"), proxy.optimizer.weightDecay);
    assert.equal(stated("optimizer", "warmup"), `${proxy.optimizer.warmup * 100}%`);
    assert.equal(stated("optimizer", "schedule"), proxy.optimizer.schedule);
    assert.equal(stated("optimizer", "minimum"), `${proxy.optimizer.minimum * 100}%`);
    assert.equal(stated("optimizer", "decay"), `${proxy.optimizer.decay * 100}%`);
    assert.equal(stated("optimizer", "clip"), proxy.optimizer.clip);
    assert.equal(stated("task", "weight"), proxy.tasks[0]!.weight);
    assert.equal(stated("rank", "by"), spec.rank.by);
    assert.equal(stated("rank", "confidence"), `${spec.rank.confidence * 100}%`);
    assert.equal(stated("project", "hardware"), spec.project!.hardware);
    assert.equal(stated("project", "batch"), spec.project!.batch);
    assert.deepEqual(stated("project", "contexts"), ["4K", "32K", "128K"]);
    assert.equal(stated("norm", "eps"), spec.model.norm.eps);
    assert.equal(
      definitions.tieEmbeddings && (definitions.tieEmbeddings as unknown as { default: unknown }).default,
      spec.model.tieEmbeddings,
    );
  });
});
