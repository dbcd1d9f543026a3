// The pool: real worker processes, killed with real signals. Whatever happens to a worker, the other trials go on, and
// a trial is given up only for deaths that were its own.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { type Director, type PoolEvent, type PoolOptions, runPool } from "../../src/run/pool.js";
import { readClaim, tryClaim } from "../../src/study/claim.js";
import { readOutcome, type TrialCrash, type TrialFailure } from "../../src/study/outcome.js";
import { identifyProcess } from "../../src/study/process_identity.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { createTiny } from "./tiny_study.js";

describe("the pool", function () {
  this.timeout(120_000);
  const folder = useTemporaryFolder();

  /** Trials to bring to their end, all known from the beginning. */
  const allOf = (trials: readonly string[]): Director => {
    const jobs = trials.map((id) => ({ id, until: Number.MAX_SAFE_INTEGER }));
    return { next: () => ({ jobs, state: "closed" }) };
  };

  /** Runs the pool over the trials of the tiny study. */
  async function run(
    trials: readonly string[],
    options: Partial<PoolOptions> = {},
    onEvent: (event: PoolEvent) => void = () => {},
  ) {
    const events: PoolEvent[] = [];
    const never = new AbortController().signal;
    const outcome = await runPool({
      studyFolder: folder(),
      director: allOf(trials),
      device: "cpu",
      threads: 1,
      trialsAtOnce: 1,
      checkpointSeconds: 0.05,
      keepCheckpoints: false,
      workers: 2,
      stop: never,
      kill: never,
      ...options,
      onEvent: (event) => {
        events.push(event);
        onEvent(event);
      },
    });
    return { ...outcome, events };
  }

  const create = async (count: number, tokens = "6K"): Promise<string[]> =>
    (await createTiny(folder(), { tokens })).trials.slice(0, count).map((trial) => trial.id);
  const trialFolder = (id: string): string => studyLayout.trial(folder(), id);
  const states = (ids: readonly string[]): unknown[] =>
    ids.map((id) => {
      const outcome = readOutcome(trialFolder(id));
      return outcome === undefined ? "open" : "status" in outcome ? outcome.status : "failed";
    });
  const generations = (id: string): number => readClaim(trialLayout.claims(trialFolder(id)))?.generation ?? 0;
  /** Sends a signal to whoever holds the trial. */
  const strike = (id: string, signal: NodeJS.Signals): void => {
    const owner = readClaim(trialLayout.claims(trialFolder(id)))?.record?.owner;
    assert.ok(owner, "somebody holds the trial");
    process.kill(owner.pid, signal);
  };

  it("runs every trial once, in order, and says so", async () => {
    const ids = await create(6);
    const { complete, events } = await run(ids);
    assert.equal(complete, true);
    assert.deepEqual(
      states(ids),
      ids.map(() => "done"),
    );
    assert.deepEqual(
      ids.map(generations),
      ids.map(() => 1),
    );
    const claimed = events.flatMap((event) => (event.kind === "claimed" ? [event.id] : []));
    assert.deepEqual([...claimed].sort(), [...ids].sort());
    const times = ids.map((id) => readClaim(trialLayout.claims(trialFolder(id)))?.record?.time ?? "");
    assert.deepEqual(times, [...times].sort(), "each worker took the first trial that was free");
    const settled = events.flatMap((event) => (event.kind === "settled" ? [event.job.id] : []));
    assert.deepEqual(settled.sort(), [...ids].sort());
  });

  it("has nothing to do when all has been done", async () => {
    const ids = await create(2);
    await run(ids);
    const { complete, events } = await run(ids);
    assert.equal(complete, true);
    assert.deepEqual(
      events.map((event) => event.kind),
      ["settled", "settled"],
    );
  });

  it("gives up a trial that crashed its worker three times, keeps its last words, and runs the others", async () => {
    const ids = await create(5);
    const bad = ids[1]!;
    const { complete, events } = await run(ids, {}, (event) => {
      if (event.kind === "claimed" && event.id === bad) strike(bad, "SIGSEGV");
    });
    assert.equal(complete, true);
    assert.deepEqual(states(ids), ["done", "failed", "done", "done", "done"]);
    assert.equal(generations(bad), 3);
    const failure = readOutcome(trialFolder(bad)) as TrialFailure;
    assert.equal(failure.code, "LMX4007");
    assert.match(failure.message, /died 3 times .* SIGSEGV/);
    assert.ok(failure.stderr.some((line) => line.includes(`${bad} claimed`)));
    for (const count of [1, 2, 3]) {
      const crash = JSON.parse(
        readFileSync(trialLayout.crash(trialFolder(bad), count), "utf8"),
      ) as TrialCrash;
      assert.equal(crash.reason, "SIGSEGV");
    }
    const deaths = events.filter((event) => event.kind === "died");
    assert.deepEqual(
      deaths.map((event) => [event.trial, event.blamed]),
      [1, 2, 3].map(() => [bad, "SIGSEGV"]),
    );
  });

  it("runs several trials of a process at the same time, with the results of one after the other", async () => {
    const ids = await create(6);
    await run(ids, { workers: 1 });
    const learned = (id: string): string => readFileSync(trialLayout.metrics(trialFolder(id)), "utf8");
    const alone = ids.map(learned);
    for (const id of ids) rmSync(trialFolder(id), { recursive: true });
    await create(6);
    const open = new Set<string>();
    let most = 0;
    const { complete, events } = await run(ids, { workers: 1, trialsAtOnce: 3 }, (event) => {
      if (event.kind === "claimed") open.add(event.id);
      if (event.kind === "ended") open.delete(event.id);
      most = Math.max(most, open.size);
    });
    assert.equal(complete, true);
    assert.equal(most, 3);
    assert.equal(events.filter((event) => event.kind === "ready").length, 1, "one process");
    assert.deepEqual(ids.map(learned), alone);
    assert.deepEqual(ids.map(generations), [1, 1, 1, 1, 1, 1]);
  });

  it("finds out which of a process's trials crashes it: it then runs one at a time", async () => {
    const ids = await create(4);
    const bad = ids[1]!;
    const open = new Set<string>();
    let mostAfterwards = 0;
    const { complete, events } = await run(ids, { workers: 1, trialsAtOnce: 2 }, (event) => {
      if (event.kind === "died") open.clear();
      if (event.kind === "ended") open.delete(event.id);
      if (event.kind === "preparing") open.add(event.id);
      if (generations(bad) > 1) mostAfterwards = Math.max(mostAfterwards, open.size);
      if (event.kind === "claimed" && event.id === bad) strike(bad, "SIGSEGV");
    });
    assert.equal(complete, true);
    assert.deepEqual(states(ids), ["done", "failed", "done", "done"]);
    const deaths = events.filter((event) => event.kind === "died");
    const together = deaths.filter((event) => event.blamed === undefined);
    assert.equal(mostAfterwards, 1);
    assert.deepEqual(
      together.map((event) => event.trial).sort(),
      [ids[0]!, bad].sort(),
      "nobody is blamed at first",
    );
    assert.deepEqual(
      deaths.filter((event) => event.blamed !== undefined).map((event) => event.trial),
      [bad, bad, bad],
    );
    assert.equal(existsSync(trialLayout.crash(trialFolder(ids[0]!), 1)), false);
  });

  it("does not blame a trial for being killed from outside: it goes on from its checkpoint", async () => {
    const ids = await create(2, "200K");
    const victim = ids[0]!;
    const resumedAt: number[] = [];
    const struck = new Set<number>(); // generations of the claim
    const { complete } = await run(ids, {}, (event) => {
      if (event.kind === "claimed" && event.id === victim) resumedAt.push(event.step);
      const saved = existsSync(trialLayout.checkpoint(trialFolder(victim)));
      if (event.kind !== "progress" || event.id !== victim || !saved || struck.size === 4) return;
      if (struck.has(generations(victim))) return;
      struck.add(generations(victim));
      strike(victim, "SIGKILL");
    });
    assert.equal(complete, true);
    assert.deepEqual(states(ids), ["done", "done"]);
    assert.deepEqual([...struck], [1, 2, 3, 4]);
    assert.equal(resumedAt.length, 5);
    assert.ok(
      resumedAt.slice(1).every((step) => step > 0),
      `resumed at steps ${resumedAt}`,
    );
    assert.equal(existsSync(trialLayout.crash(trialFolder(victim), 1)), false);
    assert.equal(readFileSync(`${trialLayout.claims(trialFolder(victim))}/0001.ended`, "utf8"), "dead\n");
  });

  it("shares a study with another pool, without running anything twice", async () => {
    const ids = await create(8);
    const both = await Promise.all([run(ids, { workers: 1 }), run(ids, { workers: 1 })]);
    assert.deepEqual(
      both.map(({ complete }) => complete),
      [true, true],
    );
    const claimed = both.flatMap(({ events }) =>
      events.flatMap((event) => (event.kind === "claimed" ? [event.id] : [])),
    );
    assert.deepEqual(claimed.sort(), [...ids].sort(), "each trial was begun once, by one of the two");
    for (const { events } of both) {
      assert.equal(events.filter((event) => event.kind === "settled").length, ids.length);
    }
  });

  it("takes over from a machine that has gone silent, and not from one that speaks", async () => {
    const ids = await create(2);
    const elsewhere = { ...identifyProcess(), host: "another-machine" };
    const silent = tryClaim(trialLayout.claims(trialFolder(ids[0]!)), elsewhere)!;
    const speaking = tryClaim(trialLayout.claims(trialFolder(ids[1]!)), elsewhere)!;
    const heart = setInterval(() => speaking.beat(), 300);
    const stop = new AbortController();
    const { complete } = await run(ids, { silenceMilliseconds: 2_000, stop: stop.signal }, (event) => {
      if (event.kind === "settled") setTimeout(() => stop.abort(), 1_500);
    });
    clearInterval(heart);
    assert.equal(complete, false);
    assert.deepEqual(states(ids), ["done", "open"]);
    assert.equal(silent.beat(), false);
    assert.equal(speaking.beat(), true);
  });

  for (const [workers, trialsAtOnce] of [
    [2, 1],
    [1, 2],
  ] as const) {
    it(`stops when asked, ${workers} x ${trialsAtOnce}: every trial is saved and free, and nothing runs any more`, async () => {
      const ids = await create(4, "500K");
      const stop = new AbortController();
      const { complete } = await run(ids, { workers, trialsAtOnce, stop: stop.signal }, (event) => {
        if (event.kind === "progress" && event.step > 3) stop.abort();
      });
      assert.equal(complete, false);
      const begun = ids.filter((id) => generations(id) > 0);
      assert.ok(begun.length > 0 && begun.length <= 2);
      for (const id of begun) {
        assert.equal(readClaim(trialLayout.claims(trialFolder(id)))?.ended, true);
        assert.ok(existsSync(trialLayout.checkpoint(trialFolder(id))));
      }
      assert.ok(readdirSync(studyLayout.logs(folder())).length <= Math.max(2, availableParallelism()));
    });
  }
});
