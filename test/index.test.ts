// The library as a user gets it: imported by its name, which leads through package.json to dist/. Needs `npm run build:ts`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

type Library = typeof import("../src/index.js");
const name = "layermix";

describe('import "layermix"', () => {
  let library: Library;
  before(async () => {
    library = (await import(name)) as Library;
  });

  it("is what package.json promises, with types", () => {
    const root = new URL("../", import.meta.url);
    const { exports } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));
    const resolved = createRequire(import.meta.url).resolve(name);
    assert.equal(resolved, fileURLToPath(new URL(exports["."].default, root)));
    const types = readFileSync(fileURLToPath(new URL(exports["."].types, root)), "utf8");
    for (const known of Object.keys(library)) assert.match(types, new RegExp(`\\b${known}\\b`));
  });

  it("lays out ratios as Megatron does, and reads patterns", () => {
    assert.equal(
      library.patternFromRatios(56, 0.07, 0.5),
      "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-",
    );
    const { layers, counts } = library.parsePattern("M-M|*-/M*");
    assert.deepEqual([layers, counts.M, counts["*"], counts["-"]], [5, 3, 2, 2]);
  });

  it("goes from a study to its cost", async () => {
    const { spec } = await library.loadStudy("preset:nemotron-h-8b", { set: ["model.vocab=1000"] });
    const model = library.plan(spec);
    assert.deepEqual(model.counts, { mamba2: 24, attention: 4, mlp: 24 });
    const cost = library.estimate(model, { sequence: 1024, batch: 2, precision: "fp32" });
    assert.equal(cost.params.embedding, 1000 * 4096);
    assert.equal(cost.flops.trainPerToken * 2 * 1024, cost.flops.train);
  });

  it("plans the candidates of a sweep and their proxies", async () => {
    const { spec } = await library.loadStudy("preset:attention-share");
    const { candidates, dropped } = library.planCandidates(spec);
    assert.deepEqual([candidates.length, dropped.length], [6, 0]);
    assert.equal(library.proxyPlan(spec, candidates[0]!).pattern.length, 24);
  });

  it("ranks outcomes", () => {
    const figures = { pattern: "M-", params: 1, flopsPerToken: 1 };
    const outcome = (candidate: string, seed: number, accuracy: number) =>
      ({
        candidate,
        task: "recall",
        seed,
        status: "done",
        metrics: { loss: 1 - accuracy, accuracy },
      }) as const;
    const { ranking } = library.rank({
      candidates: ["none", "some"].map((candidate) => ({ name: candidate, ...figures, proxy: figures })),
      tasks: [
        {
          label: "recall",
          weight: 1,
          primary: { name: "accuracy", direction: "higher", title: "accuracy" },
        },
      ],
      seeds: [0, 1, 2],
      outcomes: [0.1, 0.11, 0.1].flatMap((low, seed) => [
        outcome("none", seed, low),
        outcome("some", seed, low + 0.8 + seed / 100),
      ]),
      by: "score",
      confidence: 0.95,
    });
    assert.deepEqual(
      ranking.map(({ candidate, rank }) => [candidate, rank]),
      [
        ["some", 1],
        ["none", 2],
      ],
    );
  });

  it("throws errors that say everything as data", async () => {
    const { LayermixError, exitCodes } = library;
    const failure = await library.loadStudy("preset:nemotron-h-9b").catch((error: unknown) => error);
    assert.ok(failure instanceof LayermixError);
    assert.equal(failure.exitCode, exitCodes.usage);
    assert.deepEqual(failure.diagnostics[0]?.help, ["a preset with a similar name exists: nemotron-h-8b"]);
  });
});
