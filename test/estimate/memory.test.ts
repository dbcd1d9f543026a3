// Training memory against the native planner and against a trainer that is really allocated, byte for byte;
// KV cache and recurrent state against published models.

import assert from "node:assert/strict";
import fc from "fast-check";
import { estimate, kvBytesPerToken, stateBytesPerSequence } from "../../src/estimate/estimate.js";
import { headChunkRows, type TrainingPrecision } from "../../src/estimate/training_memory.js";
import { toNativeModel } from "../../src/plan/native_model.js";
import { planModel } from "../../src/plan/plan.js";
import type { Plan } from "../../src/plan/plan_types.js";
import { isBuilt, loadNative } from "../../src/run/load_native.js";
import type { NativeMemory, NativeTrainerConfig } from "../../src/run/native.js";
import { modelDefaults, patternModel } from "../plan/example_models.js";

const addonBuilt = isBuilt("cpu");

interface Shape {
  readonly plan: Plan;
  readonly batch: number;
  readonly microBatch: number;
  readonly sequence: number;
}

const parts = fc.record({
  pattern: fc
    .array(fc.constantFrom("M", "*", "-"), { minLength: 1, maxLength: 12 })
    .map((symbols) => symbols.join("")),
  headDim: fc.constantFrom(2, 8, 16, 32),
  groups: fc.integer({ min: 1, max: 3 }),
  headsPerGroup: fc.integer({ min: 1, max: 4 }),
  hidden: fc.integer({ min: 1, max: 40 }).map((n) => n * 8),
  vocab: fc.integer({ min: 2, max: 5000 }),
  tieEmbeddings: fc.boolean(),
  state: fc.integer({ min: 1, max: 130 }),
  conv: fc.integer({ min: 2, max: 4 }),
  width: fc.integer({ min: 1, max: 700 }),
  gated: fc.boolean(),
  activation: fc.constantFrom("gelu", "gelu_erf", "relu2", "silu"),
  microBatch: fc.integer({ min: 1, max: 3 }),
  accumulation: fc.integer({ min: 1, max: 3 }),
  sequence: fc.integer({ min: 1, max: 400 }),
});

type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

function shapeOf(s: Parts): Shape {
  const heads = s.groups * s.headsPerGroup;
  const blocks = {
    mamba2: { heads, head_dim: s.headDim, groups: s.groups, state: s.state, conv: s.conv },
    attention: { heads, kv_heads: s.groups, head_dim: s.headDim, position: "rope" },
    mlp: { width: s.width, gated: s.gated, activation: s.activation },
  };
  const { hidden, vocab, tieEmbeddings } = s;
  return {
    plan: planModel(patternModel(s.pattern, { hidden, vocab, tieEmbeddings, blocks }), "x"),
    batch: s.microBatch * s.accumulation,
    microBatch: s.microBatch,
    sequence: s.sequence,
  };
}

function trainerConfig(
  { plan, batch, microBatch, sequence }: Shape,
  precision: TrainingPrecision,
): NativeTrainerConfig {
  return {
    model: toNativeModel(plan),
    optimizer: {
      learningRate: 1e-3,
      minimumLearningRate: 0,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.1,
      clipNorm: 1,
      schedule: "constant",
      totalSteps: 1,
      warmupSteps: 0,
      decaySteps: 0,
    },
    batch,
    microBatch,
    sequence,
    precision,
    device: "cpu",
    threads: 1,
    seed: 1,
    initStd: 0.02,
  };
}

/** The estimate in the native categories: scratch of the backend counts as activations. */
function assertEqualMemory(shape: Shape, precision: TrainingPrecision, native: NativeMemory): void {
  const { training } = estimate(shape.plan, { ...shape, precision }).memory;
  assert.deepEqual(training, {
    weights: native.weights,
    gradients: native.gradients,
    optimizer: native.optimizer,
    activations: native.activations + native.workspace,
    total: native.total,
  });
}

describe("training memory", () => {
  before(function () {
    if (addonBuilt) return;
    console.log("      skipped: no native library (npm run build)");
    this.skip();
  });

  for (const precision of ["fp32", "fp64", "bf16"] as const) {
    it(`in ${precision} equals the native planner's, for any shape`, () => {
      const native = loadNative();
      fc.assert(
        fc.property(parts, (drawn) => {
          const shape = shapeOf(drawn);
          assertEqualMemory(shape, precision, native.planMemory(trainerConfig(shape, precision)));
        }),
        { numRuns: 150 },
      );
    });
  }

  it("in bf16 equals the native planner's where an operation needs more scratch than a matrix product", () => {
    const native = loadNative();
    const wide = fc.record({
      layer: fc.constantFrom("M", "*"),
      headDim: fc.constantFrom(8, 32, 64, 80, 128),
      groups: fc.constantFrom(1, 2, 8),
      headsPerGroup: fc.constantFrom(1, 3, 8),
      state: fc.constantFrom(16, 20, 64, 128, 256),
      microBatch: fc.constantFrom(1, 16, 60),
      sequence: fc.constantFrom(500, 1024, 4096, 16_384),
      vocab: fc.constantFrom(256, 200_000),
    });
    fc.assert(
      fc.property(wide, ({ layer, headDim, groups, headsPerGroup, state, microBatch, sequence, vocab }) => {
        const heads = groups * headsPerGroup;
        const model = patternModel(layer, {
          hidden: 64,
          vocab,
          blocks: {
            mamba2: { heads, head_dim: headDim, groups, state },
            attention: { heads, kv_heads: groups, head_dim: headDim, position: "none" },
          },
        });
        const shape = { plan: planModel(model, "wide"), batch: microBatch, microBatch, sequence };
        assertEqualMemory(shape, "bf16", native.planMemory(trainerConfig(shape, "bf16")));
      }),
      { numRuns: 300 },
    );
  });

  it("in bf16 equals the native planner's for the 8B hybrid, whose logits come in chunks", () => {
    const shape = { plan: planModel(modelDefaults, "8b"), batch: 2, microBatch: 1, sequence: 8192 };
    assert.ok(headChunkRows(8192, 256_000, 2) < 8192);
    assertEqualMemory(shape, "bf16", loadNative().planMemory(trainerConfig(shape, "bf16")));
  });

  it("in fp32 equals what a trainer allocates", () => {
    const native = loadNative();
    fc.assert(
      fc.property(parts, (drawn) => {
        const shape = shapeOf(drawn);
        const trainer = new native.Trainer(trainerConfig(shape, "fp32"));
        try {
          assertEqualMemory(shape, "fp32", trainer.memory);
        } finally {
          trainer.dispose();
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe("inference memory", () => {
  const KiB = 1024;
  const MiB = 1024 ** 2;

  it("of the 8B hybrid: 16 KiB per token, 49.4 MiB per sequence", () => {
    const planned = planModel(modelDefaults, "x");
    assert.equal(kvBytesPerToken(planned), 16 * KiB);
    assert.equal((stateBytesPerSequence(planned) / MiB).toFixed(1), "49.4");
  });

  it("of Nemotron-Nano-9B-v2: 16 KiB per token, 69.4 MiB per sequence", () => {
    const pattern = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-";
    const nano = patternModel(pattern, {
      hidden: 4480,
      blocks: {
        mamba2: { heads: 128, head_dim: 80, groups: 8 },
        attention: { heads: 40, kv_heads: 8, head_dim: 128 },
        mlp: {},
      },
    });
    const planned = planModel(nano, "x");
    assert.deepEqual(planned.counts, { mamba2: 27, attention: 4, mlp: 25 });
    assert.equal(kvBytesPerToken(planned), 16 * KiB);
    assert.equal((stateBytesPerSequence(planned) / MiB).toFixed(1), "69.4");
  });

  it("of a Transformer with 32 layers: 512 KiB per token with full attention, 128 KiB with 8 key-value heads, no state", () => {
    for (const [kvHeads, kilobytes] of [
      [32, 512],
      [8, 128],
    ] as const) {
      const blocks = { attention: { heads: 32, kv_heads: kvHeads, head_dim: 128 } };
      const planned = planModel(patternModel("*-".repeat(32), { blocks }), "x");
      assert.equal(kvBytesPerToken(planned), kilobytes * KiB);
      assert.equal(stateBytesPerSequence(planned), 0);
    }
  });
});
