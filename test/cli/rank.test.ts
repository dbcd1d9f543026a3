// layermix rank, run as a process: a study folder read back, ranked by any measure.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import type { PreparedStudy } from "../../src/search/prepare_study.js";
import { publishResult, writeTiming } from "../../src/study/outcome.js";
import { studyLayout } from "../../src/study/study_layout.js";
import { createTiny } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

describe("layermix rank", () => {
  const folder = useTemporaryFolder();

  /** Publishes a result for the trials that `accuracyOf` knows: recall tells the candidates apart, copy does not. */
  function publish(
    study: PreparedStudy,
    accuracyOf: (candidate: number, task: number, seed: number) => number | undefined,
  ): void {
    for (const { id, candidate, task, seed } of study.document.trials) {
      const accuracy = accuracyOf(candidate, task, seed);
      if (accuracy === undefined) continue;
      const trial = studyLayout.trial(folder(), id);
      const metrics = { loss: 1 - accuracy, accuracy };
      const common = { format: 1, tokens: 10_240, evaluations: [] } as const;
      publishResult(trial, { ...common, id, status: "done", steps: 40, metrics });
      const clock = { trainSeconds: 2, evaluationSeconds: 1, tokensPerSecond: 5000 + 1000 * candidate };
      const machine = { threads: 1, device: "cpu", host: "here", build: "test" };
      writeTiming(trial, { format: 1, steps: 40, ...clock, ...machine });
    }
  }

  const clear = (candidate: number, task: number, seed: number) =>
    task === 0 ? 0.1 + 0.4 * candidate + 0.001 * seed : 0.5 + 0.01 * ((candidate + seed) % 2);

  it("prints the ranking as the contract says, and changes nothing", async () => {
    publish(await createTiny(folder()), clear);
    const before = readdirSync(folder()).sort();
    const { code, stdout } = await layermix(["rank", folder(), "--json"]);
    const { schema, command, ok, data } = JSON.parse(stdout);
    assert.deepEqual([code, schema, command, ok], [0, "layermix/1", "rank", true]);
    assert.deepEqual(
      data.ranking.map((entry: Record<string, unknown>) => [entry.candidate, entry.tokensPerSecond]),
      [
        ["attention=50%", 7000],
        ["attention=25%", 6000],
        ["attention=0%", 5000],
      ],
    );
    const [first] = data.ranking;
    for (const field of ["rank", "pattern", "params", "score", "interval", "tiedWith", "tasks"]) {
      assert.ok(field in first, field);
    }
    assert.ok(first.interval[0] < first.score && first.score < first.interval[1]);
    assert.deepEqual(data.trials, { done: 12, diverged: 0, failed: 0, pruned: 0, total: 12 });
    assert.deepEqual(readdirSync(folder()).sort(), before);
  });

  it("ranks by a task, at another confidence", async () => {
    publish(await createTiny(folder()), clear);
    const { stdout } = await layermix(["rank", folder(), "--by", "recall", "--confidence", "90%", "--json"]);
    const { data } = JSON.parse(stdout);
    assert.deepEqual([data.by, data.confidence], ["recall", 0.9]);
    assert.deepEqual(
      data.ranking.map((entry: Record<string, unknown>) => [entry.candidate, entry.rank]),
      [
        ["attention=50%", 1],
        ["attention=25%", 2],
        ["attention=0%", 3],
      ],
    );
  });

  it("prints a table for people and CSV for programs", async () => {
    publish(await createTiny(folder()), clear);
    const table = await layermix(["rank", folder()]);
    assert.match(table.stdout, /^rank {2}candidate +score +ties +recall accuracy +copy accuracy/);
    assert.match(
      table.stdout,
      /On copy no two candidates can be told apart \(95%\)\.\nPareto front of score and decode_bytes: attention=50% \(70\.28, .*\nChosen without training, .*\n$/,
    );
    const csv = await layermix(["rank", folder(), "--csv"]);
    assert.equal(csv.stdout.split("\n").length, 5);
    assert.match(csv.stdout, /^rank,candidate,state,score,/);
  });

  it("ranks an unfinished study, says what is missing and where to look", async () => {
    publish(await createTiny(folder()), (candidate, task, seed) =>
      candidate === 2 && seed === 1 ? undefined : clear(candidate, task, seed),
    );
    const { code, stdout, stderr } = await layermix(["rank", folder()]);
    assert.equal(code, 0);
    assert.match(stdout, /\n10 of 12 trials done\nattention=50%: 2 of 4 trials not run to the end yet\n/);
    assert.equal(stderr, `Next: layermix status ${folder()}\n`);
  });

  it("refuses an unknown measure, a confidence that is no share, and --csv beside --json", async () => {
    await createTiny(folder());
    const measure = await layermix(["rank", folder(), "--by", "recal"]);
    assert.equal(measure.code, 2);
    assert.equal(
      measure.stderr,
      "error[LMX7010]: Expected a measure to rank by, got recal\n" +
        "   = help: a measure with a similar name exists: recall\n" +
        "   = help: this study can be ranked by: score, loss, recall, copy\n",
    );
    assert.equal((await layermix(["rank", folder(), "--confidence", "120%"])).code, 2);
    assert.equal((await layermix(["rank", folder(), "--csv", "--json"])).code, 2);
  });

  it("says when the folder holds no study", async () => {
    const { code, stderr } = await layermix(["rank", folder()]);
    assert.equal(code, 6);
    assert.match(stderr, /^error\[LMX4004\]/);
  });
});
