// Models and studies as spec/ hands them over: what the tests of spec/ expect and those of the planner begin with.

import type { ModelSpec, Placement, Spec, SweepSpec } from "../../src/spec/spec.js";

/** The optimizer of a study that says nothing about it. */
export const adamw: NonNullable<Spec["proxy"]>["optimizer"] = {
  kind: "adamw",
  learningRate: 1e-3,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  warmup: 0.02,
  schedule: "cosine",
  minimum: 0.1,
  decay: 0.2,
  clip: 1,
};

export const modelDefaults: ModelSpec = {
  layout: {
    kind: "mix",
    mix: { mamba2: 0.43, attention: 0.07, mlp: 0.5 },
    layers: 56,
    placement: { kind: "even" },
  },
  hidden: 4096,
  vocab: 256_000,
  tieEmbeddings: false,
  norm: { kind: "rmsnorm", eps: 1e-5 },
  blocks: {
    mamba2: { state: 128, head_dim: 64, groups: 8, expand: 2, conv: 4 },
    attention: { heads: 32, kv_heads: 8, head_dim: 128, position: "none" },
    mlp: { width: 16_384, activation: "gelu", gated: false },
  },
};

/** The 8B hybrid of arXiv 2406.07887 with changes. */
export function model(changes: Partial<ModelSpec> = {}): ModelSpec {
  return { ...modelDefaults, ...changes };
}

/** A model whose layers are written down. */
export function patternModel(pattern: string, changes: Partial<ModelSpec> = {}): ModelSpec {
  return model({ layout: { kind: "pattern", pattern }, ...changes });
}

/** A model of `layers` layers with these shares. */
export function mixModel(
  layers: number,
  mix: Record<string, number>,
  placement: Placement = { kind: "even" },
): ModelSpec {
  return model({ layout: { kind: "mix", mix, layers, placement } });
}

/** A study of a model, with a sweep if given. */
export function study(studied: ModelSpec, sweep?: Partial<SweepSpec>, rest: Partial<Spec> = {}): Spec {
  return {
    name: "example",
    file: "example.yaml",
    folder: ".",
    model: studied,
    ...(sweep === undefined ? {} : { sweep: { over: [], where: [], strategy: { kind: "grid" }, ...sweep } }),
    rank: { by: "score", confidence: 0.95 },
    ...rest,
  };
}

/** A proxy with the given model overrides; the budgets do not matter to the planner. */
export function proxy(overrides: Record<string, unknown>): NonNullable<Spec["proxy"]> {
  return {
    model: overrides,
    sequence: 512,
    batchTokens: 16_384,
    tokens: 1_000_000,
    seeds: 3,
    optimizer: adamw,
    tasks: [],
    initStd: 0.02,
    evaluateEvery: 0.25,
  };
}
