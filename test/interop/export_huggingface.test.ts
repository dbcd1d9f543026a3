// layermix export hf, as a reader finds its output: config.json by its fields, weights by name, shape and bits. That
// transformers computes the same from it is bench/check_export.py's to say; here the recorded run is held against
// `layermix verify`, whose reader of config.json was written against transformers' own checkpoints.

import assert from "node:assert/strict";
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors } from "../../src/interop/safetensors.js";
import { roundToBfloat16 } from "../../src/interop/tensor_data.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { layermix } from "../cli/layermix.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

const blocks = `    mamba2: { state: 8, heads: 6, head_dim: 4, groups: 3 }
    attention: { heads: 4, kv_heads: 2, head_dim: 6, position: none }
    mlp: { width: 24, activation: gelu }
`;
const studyText = (pattern: string, options = blocks, rest = "") => `layermix: 1
name: small
model:
  pattern: "${pattern}"
  hidden: 16
  vocab: 29
${rest}  blocks:
${options}proxy:
  sequence: 32
  batch_tokens: 64
  tokens: 320
  tasks: [{ task: copy, tokens_to_copy: 4, evaluation_tokens: 64 }]
`;

describe("layermix export hf", function () {
  this.timeout(60_000);
  const folder = useTemporaryFolder();
  const run = async (...args: string[]) => layermix(args, { cwd: folder() });
  const exported = async (...args: string[]) => {
    const { code, stdout, stderr } = await run("export", "hf", ...args, "--json");
    assert.equal(code, 0, stdout + stderr);
    return JSON.parse(stdout).data;
  };
  const config = (name: string) => readFileSync(join(folder(), name, "config.json"), "utf8");
  const tensors = (path: string) => {
    const file = openSafetensors(join(folder(), path));
    const all = new Map(
      [...file.tensors.values()].map((entry) => [entry.name, { ...entry, bytes: file.read(entry.name) }]),
    );
    file.close();
    return all;
  };

  it("takes along the tokenizer of the training, unless it has changed since", async () => {
    const fixture = new URL("../fixtures/corpus/tokenizer_bytelevel.json", import.meta.url);
    const corpus = fileURLToPath(new URL("../../presets/corpus/devils-dictionary.txt", import.meta.url));
    writeFileSync(join(folder(), "corpus.txt"), readFileSync(corpus).subarray(0, 20_000));
    copyFileSync(fixture, join(folder(), "tokenizer.json"));
    const task = "{ task: text, files: [corpus.txt], tokenizer: tokenizer.json, evaluation_tokens: 64 }";
    writeFileSync(join(folder(), "s.yaml"), studyText("M*-").replace(/tasks: .*/, `tasks: [${task}]`));
    const environment = { cwd: folder(), env: { LAYERMIX_CACHE: join(folder(), "cache") } };
    const train = await layermix(["train", "s.yaml", "--out", "run", "--device", "cpu"], environment);
    assert.equal(train.code, 0, train.stderr);

    const data = await exported("run", "-o", "out");
    assert.equal(data.tokenizer, join("out", "tokenizer.json"));
    assert.deepEqual(data.notes, ["tokenizer.json is a copy of tokenizer.json"]);
    assert.deepEqual(readFileSync(join(folder(), "out", "tokenizer.json")), readFileSync(fixture));
    const plain = JSON.parse(readFileSync(join(folder(), "out", "tokenizer_config.json"), "utf8"));
    assert.deepEqual(plain, { tokenizer_class: "PreTrainedTokenizerFast" });

    writeFileSync(join(folder(), "tokenizer_config.json"), '{"tokenizer_class":"Mine"}');
    await exported("run", "-o", "out", "--force");
    const kept = readFileSync(join(folder(), "out", "tokenizer_config.json"), "utf8");
    assert.equal(kept, '{"tokenizer_class":"Mine"}');

    writeFileSync(join(folder(), "tokenizer.json"), "{}");
    const changed = await exported("run", "-o", "changed");
    assert.equal(changed.tokenizer, null);
    assert.deepEqual(changed.notes, ["no tokenizer.json: tokenizer.json has changed since the training"]);
    assert.deepEqual(readdirSync(join(folder(), "changed")).sort(), ["config.json", "model.safetensors"]);
    rmSync(join(folder(), "tokenizer.json"));
    const gone = await exported("run", "-o", "gone");
    assert.deepEqual(gone.notes, ["no tokenizer.json: tokenizer.json is not there any more"]);
  });

  it("writes the class, the pattern and every dimension, floats as floats", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("MM*-M-"));
    const data = await exported("s.yaml", "-o", "out");
    assert.deepEqual([data.pattern, data.dtype, data.recorded], ["MM*-M-", "float32", null]);
    const text = config("out");
    assert.match(text, /"time_step_min": 0\.0,/);
    const fields = JSON.parse(text);
    const expected = {
      architectures: ["NemotronHForCausalLM"],
      model_type: "nemotron_h",
      dtype: "float32",
      hybrid_override_pattern: "MM*-M-",
      num_hidden_layers: 6,
      vocab_size: 29,
      hidden_size: 16,
      layer_norm_epsilon: 1e-5,
      tie_word_embeddings: false,
      mamba_num_heads: 6,
      mamba_head_dim: 4,
      n_groups: 3,
      ssm_state_size: 8,
      conv_kernel: 4,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 6,
      intermediate_size: 24,
      mlp_hidden_act: "gelu_pytorch_tanh",
      use_cache: true,
      eos_token_id: null,
    };
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((key) => [key, fields[key]])), expected);
    assert.ok(!("time_step_limit" in fields), "Infinity is not JSON");
  });

  it("turns the cache off where no layer is attention", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M-M-"));
    await exported("s.yaml", "-o", "out");
    assert.equal(JSON.parse(config("out")).use_cache, false);
  });

  it("stores tied embeddings as a head of their own", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M*", blocks, "  tie_embeddings: true\n"));
    const data = await exported("s.yaml", "-o", "out");
    assert.match(data.notes[0], /never ties/);
    const all = tensors("out/model.safetensors");
    assert.deepEqual(all.get("lm_head.weight")!.bytes, all.get("backbone.embeddings.weight")!.bytes);
  });

  it("gives weights that a seed decides, under the hub's names and in fp32", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M*-"));
    await exported("s.yaml", "-o", "a", "--seed", "3");
    await exported("s.yaml", "-o", "b", "--seed", "3");
    await exported("s.yaml", "-o", "c", "--seed", "4");
    const bytes = (name: string) => readFileSync(join(folder(), name, "model.safetensors"));
    assert.deepEqual(bytes("a"), bytes("b"));
    assert.notDeepEqual(bytes("a"), bytes("c"));
    const all = tensors("a/model.safetensors");
    assert.deepEqual([...all.keys()].sort(), [
      "backbone.embeddings.weight",
      "backbone.layers.0.mixer.A_log",
      "backbone.layers.0.mixer.D",
      "backbone.layers.0.mixer.conv1d.bias",
      "backbone.layers.0.mixer.conv1d.weight",
      "backbone.layers.0.mixer.dt_bias",
      "backbone.layers.0.mixer.in_proj.weight",
      "backbone.layers.0.mixer.norm.weight",
      "backbone.layers.0.mixer.out_proj.weight",
      "backbone.layers.0.norm.weight",
      "backbone.layers.1.mixer.k_proj.weight",
      "backbone.layers.1.mixer.o_proj.weight",
      "backbone.layers.1.mixer.q_proj.weight",
      "backbone.layers.1.mixer.v_proj.weight",
      "backbone.layers.1.norm.weight",
      "backbone.layers.2.mixer.down_proj.weight",
      "backbone.layers.2.mixer.up_proj.weight",
      "backbone.layers.2.norm.weight",
      "backbone.norm_f.weight",
      "lm_head.weight",
    ]);
    assert.deepEqual(all.get("backbone.layers.0.mixer.conv1d.weight")!.shape, [24 + 2 * 3 * 8, 1, 4]);
    assert.ok([...all.values()].every(({ dtype }) => dtype === "F32"));
  });

  it("carries a trained checkpoint over bit by bit, and verify computes the same from it", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M*M-"));
    assert.equal((await run("train", "s.yaml", "--out", "run", "--quiet")).code, 0);
    const [trial] = readdirSync(studyLayout.trials(join(folder(), "run")));
    const data = await exported("run", "-o", "out", "--record", "24");
    assert.match(data.origin, /^trained 5 steps on copy$/);
    const trained = tensors(join("run/trials", trial!, "checkpoint.safetensors"));
    const all = tensors("out/model.safetensors");
    const weights = [...trained.keys()].filter((name) => !name.startsWith("optimizer."));
    assert.deepEqual([...all.keys()].sort(), weights.sort());
    for (const [name, { bytes }] of all) assert.deepEqual(bytes, trained.get(name)!.bytes, name);
    const verified = await run("verify", "out", "--precision", "fp32", "--json");
    assert.equal(verified.code, 0);
    assert.equal(JSON.parse(verified.stdout).data.logitsMaxAbs, 0);
    // The trial's folder and its file name the same weights.
    for (const [index, source] of [
      join("run/trials", trial!),
      join("run/trials", trial!, "checkpoint.safetensors"),
    ].entries()) {
      await exported(source, "-o", `again${index}`);
      assert.deepEqual(tensors(`again${index}/model.safetensors`), all);
    }
    // Without its checkpoint there is nothing to export.
    const path = trialLayout.checkpoint(studyLayout.trial(join(folder(), "run"), trial!));
    assert.equal((await run("export", "hf", `${path}x`.slice(0, -1), "-o", "out")).code, 2, "out exists");
    const none = await run("export", "hf", "out", "-o", "other", "--json");
    assert.deepEqual([none.code, JSON.parse(none.stdout).error.code], [3, "LMX5202"]);
  });

  it("comes back through import hf as the model it was", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("MM*-M-"));
    await exported("s.yaml", "-o", "out", "--seed", "5");
    assert.equal((await run("import", "hf", "out", "-o", "back.yaml")).code, 0);
    await exported("back.yaml", "-o", "again", "--seed", "5");
    assert.equal(config("again"), config("out"));
    assert.deepEqual(tensors("again/model.safetensors"), tensors("out/model.safetensors"));
  });

  it("records greedy tokens that follow from the recorded logits", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M*M-"));
    await exported("s.yaml", "-o", "out", "--record", "12");
    const io = tensors("out/io.safetensors");
    const int64 = (name: string) => new BigInt64Array(io.get(name)!.bytes.buffer).slice();
    const [prompt, greedy] = [int64("greedy_prompt"), int64("greedy_tokens")];
    assert.deepEqual([prompt.length, greedy.length], [6, 12]);
    assert.deepEqual(greedy.slice(0, 6), prompt);
    assert.deepEqual(prompt, int64("input_ids").slice(0, 6));
    // The first new token is decided by the logits after the prompt, which the recorded run has as well.
    const logits = new Float32Array(io.get("logits")!.bytes.buffer).subarray(5 * 29, 6 * 29);
    assert.equal(Number(greedy[6]), logits.indexOf(Math.max(...logits)));
  });

  it("rounds matrices to bf16 and keeps A_log, D and dt_bias", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M-"));
    await exported("s.yaml", "-o", "wide");
    await exported("s.yaml", "-o", "narrow", "--dtype", "bf16");
    assert.equal(JSON.parse(config("narrow")).dtype, "bfloat16");
    const [wide, narrow] = [tensors("wide/model.safetensors"), tensors("narrow/model.safetensors")];
    for (const [name, { dtype, bytes }] of narrow) {
      const exact = new Float32Array(wide.get(name)!.bytes.buffer);
      if (/(A_log|\.D|dt_bias)$/.test(name)) {
        assert.deepEqual([dtype, bytes], ["F32", wide.get(name)!.bytes], name);
        continue;
      }
      assert.equal(dtype, "BF16", name);
      // Nearest: no other bf16 number is closer.
      for (const [i, half] of new Uint16Array(bytes.buffer).entries()) {
        const value = (bits: number) => new Float32Array(Uint32Array.of(bits * 0x10000).buffer)[0]!;
        const error = Math.abs(value(half) - exact[i]!);
        assert.ok(
          error <= Math.abs(value(half + 1) - exact[i]!) && error <= Math.abs(value(half - 1) - exact[i]!),
        );
      }
    }
  });

  it("rounds ties to even and lets no NaN become an infinity", () => {
    const bits = (word: number) => roundToBfloat16(new Float32Array(Uint32Array.of(word).buffer))[0];
    assert.equal(bits(0x3f808000), 0x3f80);
    assert.equal(bits(0x3f818000), 0x3f82);
    assert.equal(bits(0x3f808001), 0x3f81);
    assert.equal(bits(0x7f7fffff), 0x7f80);
    assert.equal(bits(0x7f800001)! & 0x7fff, 0x7fc0);
    assert.equal(bits(0xff800000), 0xff80);
  });

  it("refuses what the class cannot express, and names the class that could", async () => {
    const options = `    mamba2: { state: 8, groups: 1, head_dim: 8 }
    attention: { heads: 4, position: { kind: rope, fraction: 0.5 } }
    mlp: { width: 24, activation: silu, gated: true }
`;
    writeFileSync(join(folder(), "s.yaml"), studyText("M-*-", options));
    const { code, stdout } = await run("export", "hf", "s.yaml", "-o", "out", "--json");
    assert.equal(code, 4);
    const { errors } = JSON.parse(stdout);
    assert.deepEqual(
      errors.map(({ code: id }: { code: string }) => id),
      ["LMX5201", "LMX5201"],
    );
    const text = JSON.stringify(errors);
    assert.match(text, /a gated MLP \(silu\) \(layer 1\)/);
    assert.match(text, /RoPE on 2 of 4 channels \(layer 2\)/);
    assert.match(text, /BambaForCausalLM/);
    assert.ok(!readdirSync(folder()).includes("out"), "nothing is written");
  });

  it("refuses them before it looks for memory", async () => {
    const { code, stdout } = await run("export", "hf", "preset:llama-3.1-8b", "-o", "out", "--json");
    const { errors } = JSON.parse(stdout);
    assert.equal(code, 4);
    assert.deepEqual([...new Set(errors.map(({ code: id }: { code: string }) => id))], ["LMX5201"]);
    assert.ok(!readdirSync(folder()).includes("out"), "nothing is written");
  });

  it("names the class of models that can only be planned", async () => {
    const options = "    gated_deltanet: { key_heads: 2, value_heads: 2, key_dim: 8, value_dim: 8 }\n";
    writeFileSync(join(folder(), "s.yaml"), studyText("G*G-", options));
    const { code, stdout } = await run("export", "hf", "s.yaml", "-o", "out", "--json");
    const { error } = JSON.parse(stdout);
    assert.deepEqual([code, error.code], [4, "LMX5201"]);
    assert.match(error.message, /got gated_deltanet layers$/);
    assert.match(error.help[0], /^Qwen3NextForCausalLM or OlmoHybridForCausalLM is the class of such models/);
  });

  it("keeps a checkpoint that is there", async () => {
    writeFileSync(join(folder(), "s.yaml"), studyText("M-"));
    await exported("s.yaml", "-o", "out");
    const { code, stderr } = await run("export", "hf", "s.yaml", "-o", "out", "--seed", "1");
    assert.equal(code, 2);
    assert.match(stderr, /^error\[LMX5203\]: out\/config\.json exists already/);
    await exported("s.yaml", "-o", "out", "--seed", "1", "--force");
  });
});
