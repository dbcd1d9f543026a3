// Searches end to end on real training runs of a few thousand parameters: what is run, how far, and that a folder says
// the same to everybody who comes to it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rankStudy } from "../../src/rank/rank_study.js";
import { runPool } from "../../src/run/pool.js";
import { StudyDirector } from "../../src/run/study_director.js";
import { prepareStudy } from "../../src/search/prepare_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { readClaim } from "../../src/study/claim.js";
import { readOutcome, readTiming, type TrialResult } from "../../src/study/outcome.js";
import { readRung } from "../../src/study/rung.js";
import { readStudy, type StudyDocument } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { tinyStudyText } from "./tiny_study.js";

describe("a search in a study folder", function () {
  this.timeout(120_000);
  const folder = useTemporaryFolder();
  const oneTask = (text: string): string => text.replace(/ {4}- \{ task: copy.*\n/, "");
  const withStrategy = (strategy: string, more = ""): string =>
    oneTask(tinyStudyText({ tokens: "5K" }))
      .replace("[0%, 25%, 50%]", "[0%, 12.5%, 25%, 37.5%, 50%]")
      .replace("model: { layers: 4, hidden: 16 }", "model: { hidden: 16 }")
      .replace("fill: mamba2", `fill: mamba2\n  strategy: ${strategy}${more}`);

  async function run(text: string, where = "study", workers = 2) {
    const { spec } = parseStudy(text, { file: "study.yaml", folder: "." });
    const { space } = await prepareStudy(spec, { seed: 0, device: "cpu", version: "test" });
    const root = join(folder(), where);
    const director = new StudyDirector({ folder: root, space, source: "# tiny\n", onGrowth: () => {} });
    const never = new AbortController().signal;
    const claimed: string[] = [];
    director.next(0);
    const { complete } = await runPool({
      studyFolder: root,
      director,
      device: "cpu",
      threads: 1,
      trialsAtOnce: 1,
      checkpointSeconds: 10,
      keepCheckpoints: false,
      workers,
      stop: never,
      kill: never,
      onEvent: (event) => {
        if (event.kind === "settled") director.settled(event.job);
        if (event.kind === "claimed") claimed.push(`${event.id}@${event.step}`);
      },
    });
    return { root, document: director.document, complete, claimed, director };
  }
  const stepsTaken = (root: string, document: StudyDocument): number =>
    document.trials.reduce((sum, { id }) => sum + (readTiming(studyLayout.trial(root, id))?.steps ?? 0), 0);
  const metricsOf = (root: string, id: string): string =>
    readFileSync(trialLayout.metrics(studyLayout.trial(root, id)), "utf8");
  const rungsOf = (document: StudyDocument): readonly (number | undefined)[] =>
    document.candidates.map(
      (_, candidate) => document.trials.find((trial) => trial.candidate === candidate)?.until,
    );

  it("halves: everyone to the first rung, the best to the end, and no step is trained twice", async () => {
    const { root, document, complete } = await run(withStrategy("{ halving: { rungs: 3, keep: 50% } }"));
    assert.equal(complete, true);
    assert.deepEqual(document.tasks[0]!.rungs, [5, 10, 20]);
    assert.deepEqual([...rungsOf(document)].sort(), [10, 5, 5, undefined, undefined]);
    assert.equal(stepsTaken(root, document), 2 * (2 * 5 + 10 + 2 * 20));
    assert.equal(document.search.over, true);
    assert.equal(document.search.decisions.length, 3);
    assert.deepEqual(readStudy(root), JSON.parse(JSON.stringify(document)));
    // Those that went on were the best at their rung.
    const valueAt = (candidate: number, step: number): number => {
      const own = document.trials.filter((trial) => trial.candidate === candidate);
      const losses = own.map(({ id }) => {
        const trial = studyLayout.trial(root, id);
        const result = readOutcome(trial) as TrialResult | undefined;
        const metrics =
          readRung(trial, step)?.metrics ?? result?.evaluations.find((line) => line.step === step)?.metrics;
        return metrics!.accuracy!;
      });
      return losses.reduce((sum, value) => sum + value, 0);
    };
    const first = [0, 1, 2, 3, 4].map((candidate) => valueAt(candidate, 5));
    const onward = rungsOf(document).flatMap((until, candidate) => (until === 5 ? [] : [first[candidate]!]));
    const left = rungsOf(document).flatMap((until, candidate) => (until === 5 ? [first[candidate]!] : []));
    assert.ok(Math.min(...onward) >= Math.max(...left), `${onward} over ${left}`);
    const ranking = rankStudy(document, (id, until) => {
      const trial = studyLayout.trial(root, id);
      return readOutcome(trial) ?? (until === undefined ? undefined : readRung(trial, until));
    });
    assert.deepEqual(
      ranking.ranking.map(({ state, prunedAt }) => [state, prunedAt?.share]),
      [
        ["complete", undefined],
        ["complete", undefined],
        ["pruned", 0.5],
        ["pruned", 0.25],
        ["pruned", 0.25],
      ],
    );
    assert.deepEqual(ranking.trials, { done: 4, diverged: 0, failed: 0, pruned: 6, total: 10 });
  });

  it("gives the curves of a grid with the same evaluations, as far as they go", async () => {
    const halving = await run(withStrategy("{ halving: { rungs: 3, keep: 50% } }"), "halving");
    const grid = await run(withStrategy("grid"), "grid");
    const ids = (document: StudyDocument): string[] => document.trials.map(({ id }) => id).sort();
    assert.deepEqual(ids(halving.document), ids(grid.document), "a rung is no part of what a trial is");
    for (const { id, until } of halving.document.trials) {
      const whole = metricsOf(grid.root, id);
      const part = metricsOf(halving.root, id);
      assert.ok(whole.startsWith(part), id);
      assert.equal(part === whole, until === undefined);
    }
  });

  it("goes on when it is asked for more: a grid after a halving trains only what is missing", async () => {
    const halving = await run(withStrategy("{ halving: { rungs: 3, keep: 50% } }"));
    const before = stepsTaken(halving.root, halving.document);
    const grid = await run(withStrategy("grid"));
    assert.equal(stepsTaken(grid.root, grid.document), 5 * 2 * 20);
    assert.ok(before < 5 * 2 * 20);
    assert.deepEqual([...new Set(grid.claimed.map((text) => text.split("@")[1]))].sort(), ["10", "5"]);
  });

  for (const strategy of ["{ asha: { rungs: 3, keep: 50% } }", "{ halving: { rungs: 3, keep: 50% } }"]) {
    it(`with nothing left to do, does nothing: ${strategy}`, async () => {
      const first = await run(withStrategy(strategy));
      const again = await run(withStrategy(strategy));
      assert.deepEqual(again.claimed, []);
      assert.deepEqual(again.document, first.document);
      assert.equal(again.complete, true);
    });
  }

  it("asynchronous, gives every process that reads its log the same study, and one worker always the same", async () => {
    const text = withStrategy("{ asha: { rungs: 3, keep: 50% } }");
    const one = await run(text, "one", 1);
    const other = await run(text, "other", 1);
    assert.deepEqual(one.document, other.document);
    const many = await run(text, "many", 4);
    const logs = readdirSync(many.root).filter((name) => name.startsWith("search-"));
    assert.equal(logs.length, 1);
    assert.equal(readdirSync(join(many.root, logs[0]!)).length, many.document.search.decisions.length);
    assert.equal(rungsOf(many.document).filter((until) => until === undefined).length >= 1, true);
  });

  it("directed by two pools at once, runs no step twice", async () => {
    const text = withStrategy("{ asha: { rungs: 3, keep: 50% } }");
    const [a, b] = await Promise.all([run(text, "shared"), run(text, "shared")]);
    assert.deepEqual(a!.document, b!.document);
    const steps = a!.document.trials.reduce((sum, { until }) => sum + (until ?? 20), 0);
    assert.equal(stepsTaken(a!.root, a!.document), steps);
    for (const { id } of a!.document.trials) {
      const claims = trialLayout.claims(studyLayout.trial(a!.root, id));
      assert.equal(readClaim(claims)?.ended, true);
    }
  });

  it("breeds patterns within the limits, and names where they come from", async () => {
    const text = withStrategy(
      "{ evolution: { population: 6, generations: 1, counts: { mlp: 4, attention: [1, 3] } } }",
    );
    const { document, root } = await run(text);
    const born = document.candidates.slice(5);
    assert.equal(born.length, 1 + 6);
    for (const { pattern, counts, origin, proxy } of born) {
      assert.equal(counts.mlp, 4);
      assert.ok(counts.attention! >= 1 && counts.attention! <= 3);
      assert.equal(pattern.length, 8);
      assert.equal(proxy.pattern, pattern);
      assert.match(origin!, / of | x |drawn at random/);
    }
    assert.equal(new Set(document.candidates.map(({ pattern }) => pattern)).size, 12);
    assert.equal(stepsTaken(root, document), 12 * 2 * 20);
    const { pareto } = rankStudy(document, (id) => readOutcome(studyLayout.trial(root, id)));
    assert.deepEqual(
      pareto.objectives.map(({ name }) => name),
      ["score", "decode_bytes"],
    );
    assert.ok(pareto.front.length >= 1);
  });

  it("chooses a learning rate per candidate in pilot runs, with seeds that are not ranked", async () => {
    const text = withStrategy("grid").replace("lr: 1e-3", "lr: { sweep: [1e-9, 1e-2], length: 50% }");
    const { document, root } = await run(text);
    assert.equal(document.pilots?.length, 5 * 2);
    const ranked = new Set(document.seeds);
    assert.ok(document.pilots!.every(({ seed }) => !ranked.has(seed)));
    for (const [candidate, { learningRates }] of document.candidates.entries()) {
      const [choice] = learningRates!;
      assert.equal(choice!.chosen, 0.01, "a rate of nearly nothing learns nearly nothing");
      for (const { learningRate, loss } of choice!.tried) {
        const pilot = document.pilots!.find(
          (run) => run.candidate === candidate && run.learningRate === learningRate,
        )!;
        assert.equal((readOutcome(studyLayout.trial(root, pilot.id)) as TrialResult).metrics!.loss, loss);
      }
      for (const trial of document.trials.filter((place) => place.candidate === candidate)) {
        const { definition } = JSON.parse(
          readFileSync(trialLayout.definition(studyLayout.trial(root, trial.id)), "utf8"),
        );
        assert.equal(definition.optimizer.learningRate, 0.01);
        assert.equal(definition.steps, 20);
      }
    }
  });

  it("adds seeds while candidates are tied, up to the most", async () => {
    const text = withStrategy("grid").replace("seeds: 2", "seeds: { min: 2, max: 4, until: decided }");
    const { document } = await run(text);
    const seeds = document.candidates.map(
      (_, i) => document.trials.filter(({ candidate }) => candidate === i).length,
    );
    assert.equal(Math.max(...seeds), 4, "twenty steps decide nothing");
    assert.ok(Math.min(...seeds) >= 2);
    assert.match(document.search.decisions.at(-1)!, /tied with the best/);
  });

  it("spends its budget in order and not a token more, over any number of resumes", async () => {
    const full = 5 * 2 * 20 * 256;
    for (const [limit, trials] of [
      [3.5 * 20 * 256, 3],
      [20 * 256 - 1, 0],
      [7 * 20 * 256, 7],
      [2 * full, 10],
    ] as const) {
      const text = withStrategy("grid", `\n  budget: { tokens: ${limit} }`);
      const { document, root, complete } = await run(text);
      assert.equal(complete, true);
      assert.equal(document.trials.length, 10);
      const done = document.trials.filter(({ id }) => readOutcome(studyLayout.trial(root, id)) !== undefined);
      const before = [0, 3, 3, 7].find((_, i) => [3, 0, 7, 10][i] === trials)!;
      assert.equal(done.length, Math.max(trials, before));
      assert.equal(document.search.budget?.exhausted, trials < 10);
      assert.ok(document.search.budget!.asked! <= limit);
    }
  });

  it("stops a search in the middle of a rung when the budget ends, and goes on with a larger one", async () => {
    const strategy = "{ halving: { rungs: 3, keep: 50% } }";
    const small = await run(withStrategy(strategy, "\n  budget: { tokens: 15K }"));
    assert.equal(small.document.search.over, true);
    assert.equal(small.document.search.budget?.exhausted, true);
    const spent = stepsTaken(small.root, small.document) * 256;
    assert.ok(spent <= 15_000 && spent > 15_000 - 10 * 256, `${spent}`);
    const large = await run(withStrategy(strategy, "\n  budget: { tokens: 1M }"));
    const free = await run(withStrategy(strategy), "free");
    assert.equal(stepsTaken(large.root, large.document), stepsTaken(free.root, free.document));
    assert.deepEqual(large.document.trials, free.document.trials);
  });

  it("halts when its hours are spent, and says so", async () => {
    const { director, complete } = await run(withStrategy("grid", "\n  budget: { hours: 1e-9 }"));
    const again = await run(withStrategy("grid", "\n  budget: { hours: 1e-9 }"));
    assert.equal(again.complete || complete, false);
    assert.equal(again.director.next(0).state, "halted");
    assert.deepEqual(again.claimed, []);
    assert.ok(director.hoursSpent() > 1e-9);
  });
});
