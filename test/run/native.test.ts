// The addon as JavaScript sees it: training works off the event loop, one call at a time, every value is checked, and memory
// comes back. What the numbers are is tested below the addon (kernels/test) and by verify.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayermixError } from "../../src/diag/diagnostic.js";
import { loadNative, loadNativeFrom } from "../../src/run/load_native.js";
import type { NativeTrainer, NativeTrainerConfig } from "../../src/run/native.js";

const native = loadNative();
const config: NativeTrainerConfig = {
  model: {
    hidden: 32,
    vocab: 23,
    tieEmbeddings: true,
    normEps: 1e-5,
    layers: [
      { kind: "mamba2", heads: 4, headDim: 16, groups: 1, state: 8, conv: 4, chunk: 16, dtMin: 0 },
      { kind: "attention", heads: 4, kvHeads: 2, headDim: 8, rotaryDim: 8, ropeTheta: 10000 },
      { kind: "mlp", width: 64, activation: "silu", gated: true },
    ],
  },
  optimizer: {
    learningRate: 1e-2,
    minimumLearningRate: 0,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    clipNorm: 1,
    schedule: "cosine",
    totalSteps: 20,
    warmupSteps: 2,
    decaySteps: 0,
  },
  batch: 2,
  microBatch: 2,
  sequence: 24,
  precision: "fp32",
  device: "cpu",
  threads: 2,
  seed: 1,
  initStd: 0.02,
};
const rows = config.batch * config.sequence;
const tokens = Int32Array.from({ length: rows }, (_, i) => (i * 5) % 23);
const targets = Int32Array.from({ length: rows }, (_, i) => ((i + 1) * 5) % 23);

const batches = [{ tokens, targets }];

/** One step on that batch. */
async function step(trainer: NativeTrainer) {
  const [result] = await trainer.train(batches);
  return result!;
}

function fails(action: () => unknown, code: string, message: string | RegExp): void {
  assert.throws(action, { name: "Error", code, message });
}

describe("the native addon", () => {
  let trainer: NativeTrainer;
  beforeEach(() => {
    trainer = new native.Trainer(config);
  });
  afterEach(() => trainer.dispose());

  it("has the package's version", () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    assert.equal(native.info().version, version);
    assert.match(native.info().build, /\S/);
  });

  it("trains: the loss of a repeated batch falls", async () => {
    const first = await step(trainer);
    assert.equal(first.step, 1);
    assert.equal(first.learningRate, 0.005);
    assert.ok(Math.abs(first.loss - Math.log(23)) < 0.2, `loss ${first.loss}`);
    let last = first;
    while (last.step < 20) last = await step(trainer);
    assert.ok(last.loss < first.loss / 2, `from ${first.loss} to ${last.loss}`);
    assert.equal(trainer.stepIndex, 20);
    const { loss, correct } = await trainer.evaluate(tokens.subarray(0, 24), targets.subarray(0, 24));
    assert.deepEqual([loss.length, correct.length], [24, 24]);
    assert.ok(correct.reduce((sum, hit) => sum + hit, 0) > 12);
  });

  it("takes many steps at once with the bits of single steps", async () => {
    const other = new native.Trainer(config);
    const various = Array.from({ length: 70 }, (_, i) => ({
      tokens: tokens.map((token) => (token + i) % 23),
      targets,
    }));
    const single = [];
    for (const batch of various) single.push(...(await other.train([batch])));
    assert.deepEqual(await trainer.train(various), single);
    for (const { name } of trainer.tensors) {
      assert.deepEqual(trainer.read(name, "value", "float32"), other.read(name, "value", "float32"));
    }
    other.dispose();
  });

  it("leaves the event loop free during a step", async () => {
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 1);
    for (let i = 0; i < 20; i++) await step(trainer);
    clearInterval(timer);
    assert.ok(ticks > 0);
  });

  it("works on copies: a batch may be reused while it runs", async () => {
    const other = new native.Trainer(config);
    const scratch = Int32Array.from(tokens);
    const pending = trainer.train([{ tokens: scratch, targets }]);
    scratch.fill(0);
    assert.deepEqual(await pending, [await step(other)]);
    other.dispose();
  });

  it("refuses a second call while one is running, and goes on afterwards", async () => {
    const pending = step(trainer);
    const busy = "the trainer is busy: await the promise of the call before";
    fails(() => trainer.train(batches), "busy", busy);
    fails(() => trainer.read("lm_head.weight", "value", "float32"), "busy", busy);
    fails(() => trainer.dispose(), "busy", busy);
    assert.equal((await pending).step, 1);
    assert.equal((await step(trainer)).step, 2);
  });

  it("lists tensors by their Hugging Face names, and plans what it allocates", () => {
    assert.deepEqual(
      trainer.tensors.slice(0, 3).map(({ name, shape, decayed }) => [name, shape, decayed]),
      [
        ["backbone.embeddings.weight", [23, 32], true],
        ["backbone.layers.0.norm.weight", [32], false],
        ["backbone.layers.0.mixer.in_proj.weight", [148, 32], true],
      ],
    );
    assert.deepEqual(trainer.memory, native.planMemory(config));
    const { total, ...parts } = trainer.memory;
    assert.equal(
      Object.values(parts).reduce((a, b) => a + b, 0),
      total,
    );
  });

  it("reads and writes values, moments and the step, in either width", async () => {
    await step(trainer);
    const other = new native.Trainer({ ...config, seed: 2n ** 64n - 1n });
    for (const { name } of trainer.tensors) {
      for (const part of ["value", "expAvg", "expAvgSq"] as const) {
        other.write(name, part, trainer.read(name, part, "float32"));
        assert.deepEqual(other.read(name, part, "float64"), trainer.read(name, part, "float64"));
      }
    }
    other.stepIndex = trainer.stepIndex;
    assert.deepEqual(await step(other), await step(trainer));
    other.dispose();
  });

  it("reports a failure inside a step with its code, and stays usable", async () => {
    const outside = Int32Array.from(tokens);
    outside[3] = 23;
    await assert.rejects(trainer.train([...batches, { tokens: outside, targets }]), {
      name: "Error",
      code: "invalid_argument",
      message: "expected tokens[51] from 0 to 22, got 23",
    });
    assert.equal((await step(trainer)).step, 1);
  });

  it("refuses whatever is not what it expects, naming it", () => {
    const make = (change: object) => () =>
      new native.Trainer({ ...config, ...change } as NativeTrainerConfig);
    const layer = (change: object) =>
      make({ model: { ...config.model, layers: [{ ...config.model.layers[0], ...change }] } });
    const bad = "invalid_argument";
    fails(make({ batch: 1.5 }), bad, "expected config.batch to be an integer, got 1.5");
    fails(make({ batch: "2" }), bad, 'expected config.batch to be an integer, got "2"');
    fails(make({ batch: Number.NaN }), bad, "expected config.batch to be an integer, got NaN");
    fails(make({ batch: 2 ** 60 }), bad, "expected config.batch to be an integer, got 1152921504606847000");
    fails(make({ microBatch: 0 }), bad, "expected micro_batch from 1 to 2^31, got 0");
    fails(make({ threads: 2 ** 40 }), bad, "expected threads from 0 to 4096, got -1");
    fails(make({ seed: -1 }), bad, "expected config.seed to be an integer from 0 to 2^64 - 1, got -1");
    fails(
      make({ seed: 2n ** 64n }),
      bad,
      /config\.seed to be an integer from 0 to 2\^64 - 1, got 18446744073709551616/,
    );
    fails(
      make({ precision: "fp16" }),
      bad,
      'expected config.precision to be one of fp32, fp64, bf16, got "fp16"',
    );
    fails(make({ precision: "bf16" }), bad, /bf16 \(it can be planned, not run\)/);
    fails(make({ device: "cuda:0" }), "no_device", /cuda:0/);
    fails(make({ model: null }), bad, "expected config.model to be an object, got null");
    fails(
      make({ model: { ...config.model, layers: {} } }),
      bad,
      "expected config.model.layers to be an array, got an object",
    );
    fails(
      make({ model: { ...config.model, layers: [7] } }),
      bad,
      "expected config.model.layers[0] to be an object, got 7",
    );
    fails(
      layer({ kind: "rwkv" }),
      bad,
      'expected config.model.layers[0].kind to be one of mamba2, attention, mlp, got "rwkv"',
    );
    fails(
      layer({ heads: undefined }),
      bad,
      "expected config.model.layers[0].heads to be an integer, got undefined",
    );
    fails(layer({ groups: 3 }), bad, "expected model.layers[0].groups to divide heads, got 3 and 4");
    fails(
      () => Reflect.apply(native.planMemory, undefined, []),
      bad,
      "expected config to be an object, got undefined",
    );
    fails(
      () => trainer.train([batches[0]!, { tokens: tokens.subarray(1), targets }]),
      bad,
      "expected batches[1].tokens to be an Int32Array of length 48, got a typed array of length 47",
    );
    fails(
      () => trainer.train([]),
      bad,
      "expected batches to be an array of at least one batch, got an array",
    );
    fails(
      () => trainer.train([{ tokens, targets: new Float32Array(48) as never }]),
      bad,
      /expected batches\[0\].targets to be an Int32Array of length 48/,
    );
    fails(
      () => trainer.evaluate(tokens.subarray(1), targets),
      bad,
      /a multiple of 24 elements, got a typed array of length 47/,
    );
    fails(() => trainer.evaluate(new Int32Array(0), new Int32Array(0)), bad, /at least one sequence/);
    fails(() => trainer.read("no.such", "value", "float32"), "not_found", "no tensor named no.such");
    fails(
      () => trainer.read("lm_head.weight", "value", "float32"),
      "not_found",
      "no tensor named lm_head.weight",
    );
    fails(
      () => trainer.read("backbone.norm_f.weight", "values" as never, "float32"),
      bad,
      /expected part to be one of value, gradient, expAvg, expAvgSq/,
    );
    fails(
      () => trainer.write("backbone.norm_f.weight", "value", new Float32Array(31)),
      bad,
      "expected data to be a Float32Array or Float64Array of length 32, got a typed array of length 31",
    );
    fails(
      () => trainer.write("backbone.norm_f.weight", "value", new Int32Array(32) as never),
      bad,
      /Float32Array or Float64Array/,
    );
    fails(
      () => {
        trainer.stepIndex = -1;
      },
      bad,
      "expected a step of at least 0, got -1",
    );
  });

  it("answers nothing after dispose", () => {
    trainer.dispose();
    trainer.dispose();
    fails(() => trainer.memory, "disposed", "the trainer has been disposed of");
    fails(() => trainer.train(batches), "disposed", "the trainer has been disposed of");
  });

  it("gives memory back: 100 trainers leave the process as it was", async () => {
    const cycle = async (): Promise<void> => {
      const one = new native.Trainer(config);
      await step(one);
      one.dispose();
    };
    for (let i = 0; i < 20; i++) await cycle();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 100; i++) await cycle();
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 0.2 * 100 * trainer.memory.total, `grew by ${grown} bytes`);
  });
});

describe("loadNativeFrom", () => {
  const helpOf = (root: string): readonly string[] => {
    try {
      loadNativeFrom(root);
    } catch (error) {
      return (error as LayermixError).diagnostics[0]!.help ?? [];
    }
    return [];
  };

  it("says how to build a library that is not there, where npm has installed it and in a checkout", () => {
    assert.throws(() => loadNativeFrom("/nowhere"), {
      message:
        "LMX3001: Expected the native library at /nowhere/build/Release/layermix_cpu.node, got no such file",
    });
    const needs = "(needs a C++17 compiler and CMake 3.22)";
    assert.deepEqual(helpOf("/nowhere"), [`Build it: npm --prefix /nowhere run build:native ${needs}.`]);
    const checkout = mkdtempSync(join(tmpdir(), "layer mix-"));
    try {
      assert.deepEqual(helpOf(checkout), [`Build it: npm --prefix "${checkout}" run build:native ${needs}.`]);
      mkdirSync(join(checkout, "src"));
      assert.deepEqual(helpOf(checkout), [`Build it: npm run build ${needs}.`]);
    } finally {
      rmSync(checkout, { recursive: true });
    }
  });
});
