// The CUDA addon as JavaScript sees it, on a machine with a GPU (elsewhere the tests say that they are skipped): it trains, gives
// the same bits twice, and its loss stays beside the CPU's. `npm run test:gpu` runs this after building both addons.

import assert from "node:assert/strict";
import { loadNative } from "../../src/run/load_native.js";
import type { NativeLibrary, NativeTrainerConfig } from "../../src/run/native.js";
import { probeCuda } from "../../src/run/probe_cuda.js";

const { cuda, reason } = probeCuda();

const config: NativeTrainerConfig = {
  model: {
    hidden: 64,
    vocab: 64,
    tieEmbeddings: true,
    normEps: 1e-5,
    layers: [
      { kind: "mamba2", heads: 4, headDim: 32, groups: 1, state: 16, conv: 4, chunk: 64, dtMin: 0 },
      { kind: "mlp", width: 256, activation: "relu2", gated: false },
      { kind: "attention", heads: 2, kvHeads: 1, headDim: 32, rotaryDim: 32, ropeTheta: 10000 },
      { kind: "mlp", width: 128, activation: "silu", gated: true },
    ],
  },
  optimizer: {
    learningRate: 3e-3,
    minimumLearningRate: 0,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    clipNorm: 1,
    schedule: "constant",
    totalSteps: 30,
    warmupSteps: 3,
    decaySteps: 0,
  },
  batch: 4,
  microBatch: 4,
  sequence: 100,
  precision: "fp32",
  device: "cpu",
  threads: 1,
  seed: 7,
  initStd: 0.05,
};

/** A cycle through the vocabulary that starts somewhere else in every sequence and step: quickly learnt. */
function batchOf(step: number): { readonly tokens: Int32Array; readonly targets: Int32Array } {
  const { batch, sequence, model } = config;
  const at = (row: number, time: number) => (step * 13 + row * 29 + time * 5) % model.vocab;
  const count = batch * sequence;
  return {
    tokens: Int32Array.from({ length: count }, (_, i) => at(Math.floor(i / sequence), i % sequence)),
    targets: Int32Array.from({ length: count }, (_, i) => at(Math.floor(i / sequence), (i % sequence) + 1)),
  };
}

/** Losses of all steps, so many of them in a call. */
async function lossesOf(
  native: NativeLibrary,
  changes: Partial<NativeTrainerConfig>,
  stepsPerCall = 1,
): Promise<number[]> {
  const trainer = new native.Trainer({ ...config, ...changes });
  const batches = Array.from({ length: config.optimizer.totalSteps }, (_, step) => batchOf(step));
  const losses: number[] = [];
  for (let first = 0; first < batches.length; first += stepsPerCall) {
    const results = await trainer.train(batches.slice(first, first + stepsPerCall));
    losses.push(...results.map(({ loss }) => loss));
  }
  trainer.dispose();
  return losses;
}

describe("training on a GPU", () => {
  before(function () {
    if (cuda.length > 0) return;
    console.log(`      skipped: ${reason}`);
    this.skip();
  });

  const onGpu = { device: "cuda:0", precision: "bf16" } as const;

  it("learns what the CPU learns, step by step", async () => {
    const expected = await lossesOf(loadNative("cpu"), {});
    const losses = await lossesOf(loadNative("cuda"), onGpu);
    assert.ok(losses.at(-1)! < 0.5 * losses[0]!, `nothing was learnt: ${losses.at(-1)}`);
    for (const [step, loss] of losses.entries()) {
      assert.ok(
        Math.abs(loss - expected[step]!) < 0.05 * expected[0]!,
        `step ${step}: ${loss}, CPU ${expected[step]}`,
      );
    }
  }).timeout(60_000);

  it("gives the same bits twice, and however many steps are queued", async () => {
    const native = loadNative("cuda");
    const losses = await lossesOf(native, onGpu);
    for (const stepsPerCall of [1, 7, 1_000])
      assert.deepEqual(await lossesOf(native, onGpu, stepsPerCall), losses, `${stepsPerCall} at once`);
  }).timeout(60_000);

  it("also runs on the CPU, with the CPU addon's bits", async () => {
    assert.deepEqual(await lossesOf(loadNative("cuda"), {}), await lossesOf(loadNative("cpu"), {}));
  }).timeout(60_000);

  it("refuses precisions and devices that are not there", () => {
    const { Trainer } = loadNative("cuda");
    assert.throws(
      () => new Trainer({ ...config, device: "cuda:0" }),
      /expected precision bf16 on device cuda:0/,
    );
    assert.throws(() => new Trainer({ ...config, ...onGpu, device: "cuda:99" }), /no device cuda:99/);
  });
});
