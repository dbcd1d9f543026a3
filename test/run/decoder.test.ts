// Decoder and Meter as JavaScript sees them. What a decoder computes is tested below the addon (kernels/test/decoder_*) and against
// recorded models (test/interop/greedy.test.ts).

import assert from "node:assert/strict";
import { estimate } from "../../src/estimate/estimate.js";
import { toNativeModel } from "../../src/plan/native_model.js";
import { plan } from "../../src/plan/plan.js";
import { loadNative } from "../../src/run/load_native.js";
import type { NativeDecoderConfig, NativeOperation } from "../../src/run/native.js";
import { loadStudy } from "../../src/spec/load_study.js";

const native = loadNative();
const config: NativeDecoderConfig = {
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
  batch: 2,
  context: 40,
  prompt: 20,
  precision: "fp32",
  stateType: "full",
  device: "cpu",
  threads: 2,
  seed: 1,
  initStd: 0.2,
};
const prompt = Int32Array.from({ length: 12 }, (_, i) => (i * 5) % 23);

describe("the native decoder", () => {
  const open = (change: Partial<NativeDecoderConfig> = {}) => new native.Decoder({ ...config, ...change });

  it("generates what its own logits say, again after a reset", async () => {
    const decoder = open();
    let logits = await decoder.prefill(prompt);
    assert.equal(logits.length, 2 * 23);
    assert.equal(decoder.position, 6);
    const expected: number[] = [];
    for (let i = 0; i < 9; ++i) {
      const next = [0, 1].map((row) => {
        const scores = logits.subarray(row * 23, (row + 1) * 23);
        return scores.indexOf(Math.max(...scores));
      });
      expected.push(...next);
      logits = await decoder.step(Int32Array.from(next));
    }
    decoder.reset();
    assert.equal(decoder.position, 0);
    await decoder.prefill(prompt);
    assert.deepEqual([...(await decoder.generate(9))], expected);
    assert.equal(decoder.position, 15);
    decoder.dispose();
  });

  it("takes written parameters", async () => {
    const decoder = open();
    const before = await decoder.prefill(prompt);
    const embeddings = decoder.tensors.find(({ name }) => name === "backbone.embeddings.weight")!;
    assert.deepEqual(embeddings.shape, [23, 32]);
    decoder.write(embeddings.name, new Float32Array(embeddings.count).fill(0.5));
    decoder.reset();
    assert.notDeepEqual(await decoder.prefill(prompt), before);
    assert.throws(() => decoder.write("nothing", new Float32Array(1)), { code: "not_found" });
    assert.throws(() => decoder.write(embeddings.name, new Float32Array(3)), {
      code: "invalid_argument",
      message:
        "expected data to be a Float32Array or Float64Array of length 736, got a typed array of length 3",
    });
    decoder.dispose();
  });

  it("times steps and prefills, from a filled context", async () => {
    const decoder = open();
    decoder.fill(30, 7);
    assert.equal(decoder.position, 30);
    const steps = await decoder.timeSteps(5);
    assert.equal(decoder.position, 35);
    const prefills = await decoder.timePrefills(20, 3);
    assert.equal(decoder.position, 20);
    assert.deepEqual([steps.length, prefills.length], [5, 3]);
    for (const seconds of [...steps, ...prefills]) assert.ok(seconds > 0 && seconds < 60);
    await assert.rejects(decoder.timeSteps(21), { code: "invalid_argument" });
    decoder.dispose();
  });

  it("does one thing at a time, and nothing after dispose", async () => {
    const decoder = open();
    const pending = decoder.prefill(prompt);
    assert.throws(() => decoder.reset(), { code: "busy" });
    await pending;
    decoder.dispose();
    decoder.dispose();
    assert.throws(() => decoder.position, { code: "disposed" });
  });

  it("refuses what it cannot run", () => {
    const refuses = (change: Partial<NativeDecoderConfig>, message: string) =>
      assert.throws(() => open(change), { code: "invalid_argument", message });
    refuses({ prompt: 41 }, "expected prompt from 1 to the context of 40, got 41");
    refuses({ batch: 0 }, "expected batch from 1 to 2^31, got 0");
    refuses(
      { stateType: "bf16" },
      "expected a full state type on device cpu, got bf16 (it can be planned, not run)",
    );
    assert.throws(() => open({ batch: 1_000_000, context: 1_000_000 }), { code: "out_of_memory" });
  });
});

// kernels/model/DECODING.md against the planner's closed form, for real models: exact up to padding, which one sequence of odd
// length would show and these do not.
describe("a decoder's memory", () => {
  for (const preset of ["mamba2-hybrid-8b", "nemotron-h-8b", "transformer-8b", "mamba2-8b"]) {
    it(`is what plan says of ${preset}`, async () => {
      const { spec } = await loadStudy(`preset:${preset}`, { set: [] });
      const planned = plan(spec);
      const { memory, params } = estimate(planned);
      const batch = 32;
      const context = 4096;
      const allocated = native.planDecoderMemory({
        ...{ ...config, model: toNativeModel(planned), batch, context, prompt: 512 },
        ...{ precision: "bf16", stateType: "bf16" },
      });
      assert.equal(allocated.cache, batch * context * memory.kvBytesPerToken);
      assert.equal(allocated.state, batch * memory.stateBytesPerSequence);
      // Matrices in bf16; convolutions and vectors in fp32.
      const vectors = planned.layers.flatMap(({ block, options }) =>
        block
          .parameters(options, { hidden: planned.hidden, layers: planned.layers.length })
          .filter(({ name, shape }) => shape.length !== 2 || name.includes("conv1d"))
          .map(({ shape }) => shape.reduce((a, b) => a * b, 1)),
      );
      const wide = vectors.reduce((a, b) => a + b, planned.hidden);
      assert.equal(allocated.weights, 2 * params.total + 2 * wide);
    });
  }
});

describe("the native meter", () => {
  const operations: readonly NativeOperation[] = [
    { kind: "linear", rows: 3, in: 64, out: 96 },
    { kind: "norm_linear", rows: 3, in: 64, out: 96, logits: true },
    { kind: "mlp_up", rows: 3, hidden: 64, width: 96, activation: "silu", gated: true },
    { kind: "rms_norm", rows: 3, cols: 64 },
    { kind: "gated_rms_norm", rows: 3, cols: 64, groups: 2 },
    { kind: "attention_prefill", batch: 2, time: 17, heads: 4, kvHeads: 2, headDim: 16 },
    { kind: "attention_decode", batch: 2, context: 33, heads: 4, kvHeads: 2, headDim: 16 },
    { kind: "cache_append", batch: 2, time: 1, heads: 4, kvHeads: 2, headDim: 16 },
    { kind: "ssd_prefill", batch: 2, time: 17, heads: 4, headDim: 16, groups: 2, state: 8 },
    { kind: "ssd_update", batch: 2, heads: 4, headDim: 16, groups: 2, state: 8, stateType: "full" },
    { kind: "conv_prefill", batch: 2, time: 17, channels: 64, width: 4 },
    { kind: "conv_step", batch: 2, channels: 64, width: 4 },
    { kind: "embedding", rows: 3, cols: 64, vocab: 50 },
    { kind: "argmax", rows: 3, vocab: 50 },
    { kind: "copy", bytes: 4096 },
    { kind: "launch" },
  ];

  it("times every kind of operation", async () => {
    const meter = new native.Meter({ device: "cpu", threads: 1 });
    for (const operation of operations) {
      const { seconds, low, high, samples, bytes, flops } = await meter.measure(operation, 1e-4);
      assert.ok(seconds > 0 && seconds < 10, `${operation.kind}: ${seconds} s`);
      assert.ok(low <= seconds && seconds <= high && samples >= 5, operation.kind);
      assert.ok(bytes > 0 && flops >= 0, operation.kind);
    }
    meter.dispose();
  });

  it("counts the bytes and FLOPs that must be", async () => {
    const meter = new native.Meter({ device: "cpu", threads: 1 });
    const { bytes, flops } = await meter.measure({ kind: "linear", rows: 3, in: 64, out: 96 }, 1e-4);
    assert.equal(bytes, 4 * (64 * 96 + 3 * 64 + 2 * 3 * 96));
    assert.equal(flops, 2 * 3 * 64 * 96);
    const cache = {
      kind: "attention_decode",
      batch: 2,
      context: 33,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
    } as const;
    const attention = await meter.measure(cache, 1e-4);
    assert.equal(attention.bytes, 4 * (2 * 2 * 2 * 33 * 16 + 2 * 2 * 4 * 16));
    assert.equal(attention.flops, 4 * 2 * 4 * 16 * 33);
    meter.dispose();
  });

  it("refuses sizes and devices that are not there", async () => {
    const meter = new native.Meter({ device: "cpu", threads: 1 });
    await assert.rejects(meter.measure({ kind: "linear", rows: 0, in: 1, out: 1 }, 1), {
      code: "invalid_argument",
      message: "expected rows from 1 to 2147483648, got 0",
    });
    const heads = {
      kind: "attention_decode",
      batch: 1,
      context: 1,
      heads: 3,
      kvHeads: 2,
      headDim: 8,
    } as const;
    await assert.rejects(meter.measure(heads, 1), {
      code: "invalid_argument",
      message: "expected kv_heads to divide the 3 heads, got 2",
    });
    await assert.rejects(meter.measure({ kind: "launch" }, 0), { code: "invalid_argument" });
    meter.dispose();
    assert.throws(() => meter.measure({ kind: "launch" }, 1), { code: "disposed" });
    assert.throws(() => new native.Meter({ device: "tpu", threads: 1 }), { code: "no_device" });
  });
});
