// config.json -> native model: the golden configurations, the defaults of transformers 5.18.0, and everything that would change
// the function refused by name.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readHuggingFaceConfig } from "../../src/interop/huggingface_config.js";

const golden = (name: string): string =>
  readFileSync(new URL(`../fixtures/golden/${name}/config.json`, import.meta.url), "utf8");
const read = (fields: object | string) =>
  readHuggingFaceConfig(typeof fields === "string" ? fields : JSON.stringify(fields), "config.json");
const nemotron = { model_type: "nemotron_h", hybrid_override_pattern: "M*-" };
const mamba = { model_type: "mamba2", n_groups: 1 };

describe("readHuggingFaceConfig", () => {
  it("reads a NemotronH model (transformers 5.18.0)", () => {
    const { model, hiddenStates } = read(golden("nemotronh_g1"));
    const recurrent = {
      kind: "mamba2",
      heads: 8,
      headDim: 8,
      groups: 1,
      state: 8,
      conv: 4,
      chunk: 8,
      dtMin: 0,
    };
    const attention = { kind: "attention", heads: 4, kvHeads: 2, headDim: 8, rotaryDim: 0, ropeTheta: 10000 };
    const mlp = { kind: "mlp", width: 48, activation: "relu2", gated: false };
    assert.deepEqual(model, {
      hidden: 32,
      vocab: 64,
      tieEmbeddings: false,
      normEps: 1e-5,
      layers: [recurrent, mlp, attention, mlp, recurrent, mlp],
    });
    assert.deepEqual(hiddenStates, [0, 1, 2, 3, 4, 5, 7]); // inputs of the layers, then the final norm
  });

  it("reads a Mamba2 model (transformers 5.18.0), whose hidden states are outputs of layers", () => {
    const { model, hiddenStates } = read(golden("mamba2_g1"));
    assert.equal(model.layers.length, 3);
    assert.deepEqual(model.layers[0], model.layers[2]);
    assert.deepEqual(hiddenStates, [1, 2, 3, 4]);
  });

  it("fills in the defaults of the class", () => {
    const { model } = read(nemotron);
    assert.deepEqual([model.hidden, model.vocab, model.normEps], [4096, 131072, 1e-5]);
    assert.deepEqual(model.layers, [
      { kind: "mamba2", heads: 128, headDim: 64, groups: 8, state: 128, conv: 4, chunk: 128, dtMin: 0.001 },
      { kind: "attention", heads: 32, kvHeads: 8, headDim: 128, rotaryDim: 0, ropeTheta: 10000 },
      { kind: "mlp", width: 21504, activation: "relu2", gated: false },
    ]);
  });

  it("lets layers_block_type win over the pattern, under its old names too", () => {
    const { model } = read({ ...nemotron, layers_block_type: ["attention", "mamba", "full_attention"] });
    assert.deepEqual(
      model.layers.map((layer) => layer.kind),
      ["attention", "mamba2", "attention"],
    );
  });

  it("takes dt's lower clamp from time_step_min in nemotron_h and from time_step_limit in mamba2", () => {
    const dtMin = (fields: object): unknown => (read(fields).model.layers[0] as { dtMin?: number }).dtMin;
    assert.equal(dtMin({ ...nemotron, time_step_min: 0.05, time_step_limit: [0.1, 1] }), 0.05);
    assert.equal(
      dtMin({ ...mamba, time_step_min: 0.05, time_step_limit: [0.1, { __float__: "Infinity" }] }),
      0.1,
    );
    assert.equal(dtMin('{"model_type": "mamba2", "n_groups": 1, "time_step_limit": [0.0, Infinity]}'), 0);
  });

  it("ties embeddings in mamba2 alone, as the classes do", () => {
    assert.equal(read({ ...mamba, tie_word_embeddings: true }).model.tieEmbeddings, true);
    assert.equal(read({ ...nemotron, tie_word_embeddings: true }).model.tieEmbeddings, false);
  });

  const refused: [string, object | string, string][] = [
    [
      "another model",
      { model_type: "llama" },
      "LMX5102: Expected a model that layermix can run, got model_type llama in config.json",
    ],
    ["no model_type", {}, "LMX5101: Expected a string at model_type in config.json, got nothing"],
    ["what is not an object", "[]", "LMX5101: Expected a JSON object in config.json"],
    [
      "a syntax error, at its place",
      '{\n  "a": 1,\n}',
      'LMX5101: Expected a string key, got "}" at line 3, column 1 of config.json',
    ],
    [
      "experts",
      { ...nemotron, hybrid_override_pattern: "ME" },
      'LMX5102: Expected a model that layermix can run, got layer 1 of kind "E" in config.json',
    ],
    [
      "experts in the list",
      { ...nemotron, layers_block_type: ["mlp", "moe"] },
      'LMX5102: Expected a model that layermix can run, got layer 1 of kind "E" in config.json',
    ],
    [
      "pipeline marks",
      { ...nemotron, hybrid_override_pattern: "M|M" },
      'LMX5102: Expected a model that layermix can run, got layer 1 of kind "|" in config.json',
    ],
    [
      "a layer type that is an object member",
      { ...nemotron, layers_block_type: ["constructor"] },
      'LMX5102: Expected a model that layermix can run, got layer 0 of kind "constructor" in config.json',
    ],
    [
      "no pattern",
      { model_type: "nemotron_h" },
      "LMX5101: Expected a string at hybrid_override_pattern in config.json, got nothing",
    ],
    [
      "biases",
      { ...nemotron, mlp_bias: true },
      "LMX5102: Expected a model that layermix can run, got mlp_bias true in config.json",
    ],
    [
      "a convolution without bias",
      { ...nemotron, use_conv_bias: false },
      "LMX5102: Expected a model that layermix can run, got use_conv_bias false in config.json",
    ],
    [
      "another activation",
      { ...nemotron, mlp_hidden_act: "tanh" },
      'LMX5102: Expected a model that layermix can run, got mlp_hidden_act "tanh" in config.json',
    ],
    [
      "a sliding window",
      { ...nemotron, sliding_window: 512 },
      "LMX5102: Expected a model that layermix can run, got sliding_window in config.json",
    ],
    [
      "several groups in mamba2",
      { ...mamba, n_groups: 2 },
      "LMX5102: Expected a model that layermix can run, got n_groups 2 in model_type mamba2 in config.json",
    ],
    [
      "several groups in mamba2, by default",
      { model_type: "mamba2" },
      "LMX5102: Expected a model that layermix can run, got n_groups 8 in model_type mamba2 in config.json",
    ],
    [
      "an upper clamp of dt",
      { ...mamba, time_step_limit: [0, 0.1] },
      "LMX5102: Expected a model that layermix can run, got a time_step_limit that ends at 0.1 in config.json",
    ],
    [
      "widths that do not agree",
      { ...mamba, hidden_size: 100 },
      "LMX5101: Expected hidden_size * expand / head_dim (8192 channels otherwise) at num_heads in config.json, got nothing",
    ],
    [
      "a size that is not a count",
      { ...nemotron, hidden_size: -4 },
      "LMX5101: Expected a positive integer at hidden_size in config.json, got -4",
    ],
  ];
  for (const [title, fields, message] of refused) {
    it(`refuses ${title}`, () => assert.throws(() => read(fields), { message }));
  }
});
