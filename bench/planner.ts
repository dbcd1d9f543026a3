// Planner speed: patterns of the whole one-percent grid, and a sweep of 100,000 candidates, planned, told
// apart and priced. Run: node --import tsx bench/planner.ts

import { planCandidates } from "../src/estimate/candidates.js";
import { estimate } from "../src/estimate/estimate.js";
import { patternFromRatios } from "../src/plan/pattern_from_ratios.js";
import type { Spec, SweepSpec } from "../src/spec/spec.js";

function timed<T>(what: string, work: () => T): T {
  const start = process.hrtime.bigint();
  const result = work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  console.log(`${seconds.toFixed(2).padStart(7)} s  ${what}`);
  return result;
}

function grid(): number {
  let patterns = 0;
  for (let layers = 1; layers <= 128; layers += 1) {
    for (let attention = 0; attention <= 100; attention += 1) {
      for (let mlp = 0; attention + mlp <= 100; mlp += 1) {
        patternFromRatios(layers, attention / 100, mlp / 100);
        patterns += 1;
      }
    }
  }
  return patterns;
}

/** Depths, shares, widths and state sizes: 10 x 25 x 20 x 5 x 4 = 100,000 points. */
function study(match?: SweepSpec["match"]): Spec {
  const range = (count: number, value: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => value(i));
  return {
    name: "bench",
    file: "bench.yaml",
    folder: ".",
    model: {
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
      blocks: { attention: { kv_heads: 8 } },
    },
    sweep: {
      over: [
        { path: "layers", values: range(10, (i) => 40 + 4 * i) },
        { path: "mix.attention", values: range(25, (i) => 0.02 * i) },
        { path: "mix.mlp", values: range(20, (i) => 0.025 * (i + 1)) },
        { path: "hidden", values: range(5, (i) => 2048 + 1024 * i) },
        { path: "blocks.mamba2.state", values: [32, 64, 128, 256] },
      ],
      fill: "mamba2",
      where: [{ metric: "params", max: 1e12 }],
      strategy: { kind: "grid" },
      ...(match === undefined ? {} : { match }),
    },
    rank: { by: "score", confidence: 0.95 },
  };
}

const patterns = timed("659,328 patterns (1% grid, 1 to 128 layers)", grid);
const { candidates, dropped } = timed("100,000 points planned, told apart, constrained", () =>
  planCandidates(study()),
);
timed(`${candidates.length} candidates priced (parameters, FLOPs, memory)`, () =>
  candidates.forEach(({ plan }) => {
    estimate(plan);
  }),
);
console.log(
  `          ${patterns} patterns, ${candidates.length} candidates kept, ${dropped.length} dropped as duplicates`,
);
const matched = timed("100,000 points matched to equal parameters within 2%", () =>
  planCandidates(study({ on: "params", tolerance: 0.02 })),
);
console.log(`          ${matched.candidates.length} candidates kept`);
