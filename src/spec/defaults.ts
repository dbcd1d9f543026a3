// Values of keys that a study file leaves out, as resolved numbers. The JSON Schema states the same defaults for
// editors and docs; a test holds the two together.

export const defaults = {
  model: { tieEmbeddings: false, normEps: 1e-5, placement: "even" },
  proxy: { sequence: 512, batch_tokens: 16384, seeds: 3, initStd: 0.02, evaluateEvery: 0.25 },
  optimizer: {
    learningRate: 1e-3,
    betas: [0.9, 0.95],
    epsilon: 1e-8,
    weightDecay: 0.1,
    warmup: 0.02,
    schedule: "cosine",
    minimum: 0.1,
    decay: 0.2,
    clip: 1,
  },
  learningRateSweep: { seeds: 1, length: 1 },
  halving: { rungs: 3, keep: 0.5 },
  evolution: { mutation: 0.7 },
  rank: { by: "score", confidence: 0.95, objectives: ["decode_bytes"] },
  project: { hardware: "h200", contexts: [4096, 32768, 131072], batch: 32 },
} as const;
