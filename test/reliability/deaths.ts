// Workers that die of themselves: SIGSEGV, SIGABRT, SIGBUS, SIGILL in the native library, and memory that runs out. The sweep goes
// on; a trial that kills its worker three times is given up by name, and --retry-failed runs it.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readClaim } from "../../src/study/claim.js";
import { isFailure, readOutcome } from "../../src/study/outcome.js";
import { trialLayout } from "../../src/study/study_layout.js";
import { type Check, Tally } from "./check.js";
import { childrenOf } from "./processes.js";
import { Bench, compare, ended, FinishedWatch, isRunning, shortStudy } from "./studies.js";

const signals = ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL"] as const;

export const deaths: Check = {
  name: "crashes in the native library",
  what: "SIGSEGV, SIGABRT, SIGBUS and SIGILL to workers in the middle of trials; one trial is hit until it is given up",
  full: 60,
  small: 2,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, shortStudy("80K", 2));
    await bench.finish("calm", tally);
    let givenUp = 0;
    for (let round = 0; tally.done < count && tally.wrong.length === 0; round++) {
      const name = `rough-${round}`;
      const watch = new FinishedWatch(bench.study(name));
      const sweep = await bench.start(name);
      const target = round % 2 === 0 ? undefined : 1 + Math.floor(random() * 3); // a trial to be hit three times
      const hits = new Map<string, number>();
      while (isRunning(sweep)) {
        await sleep(20 + random() * 60);
        watch.look(tally);
        const trials = bench.trials(name);
        for (const [index, trial] of trials.entries()) {
          const claim = readClaim(trialLayout.claims(trial));
          const owner = claim?.record?.owner.pid;
          if (
            claim === undefined ||
            claim.ended ||
            owner === undefined ||
            !childrenOf(sweep.pid).includes(owner)
          )
            continue;
          const limit = index === target ? 3 : 1;
          if ((hits.get(trial) ?? 0) >= limit || (index !== target && random() < 0.7)) continue;
          try {
            process.kill(owner, signals[Math.floor(random() * signals.length)]!);
          } catch {
            continue;
          }
          hits.set(trial, (hits.get(trial) ?? 0) + 1);
          tally.done++;
          progress(tally.done);
          break;
        }
      }
      const { code, said } = await ended(sweep);
      const failed = bench.trials(name).filter((trial) => {
        const outcome = readOutcome(trial);
        return outcome !== undefined && isFailure(outcome);
      });
      givenUp += failed.length;
      tally.expect(
        code === (failed.length === 0 ? 0 : 5),
        `${name}: exit code ${code}, ${failed.length} failed\n${said}`,
      );
      for (const trial of failed) {
        tally.expect(hits.get(trial) === 3, `${trial} was given up after ${hits.get(trial)} crashes`);
      }
      watch.look(tally);
      if (failed.length > 0) await bench.finish(name, tally, { args: ["--retry-failed"] });
      compare(bench.study("calm"), bench.study(name), tally);
    }
    tally.expect(count < 30 || givenUp > 0, "no trial was given up");
    tally.notes.push(`${givenUp} trials given up after three, all run with --retry-failed`);
    return tally;
  },
};

export const memory: Check = {
  name: "out of memory",
  what: "a limit that a trial fits with a half, a quarter ... of its micro-batch, or not at all: smaller, or failed by name",
  full: 12,
  small: 2,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const text = shortStudy("6K");
    let smaller = 0;
    let failed = 0;
    while (tally.done < count) {
      const home = join(folder, String(tally.done));
      mkdirSync(home);
      const bench = new Bench(home, text);
      const limit = Math.round(10 ** (5 + 0.8 * random()));
      const { code, said } = await bench.run("out", {
        env: { LAYERMIX_MEMORY_LIMIT: String(limit) },
        args: ["--json"],
      });
      for (const trial of bench.trials("out")) {
        const outcome = readOutcome(trial);
        if (outcome === undefined) tally.lost++;
        else if (isFailure(outcome)) {
          failed++;
          tally.expect(outcome.cause === "oom", `limit ${limit}: ${outcome.code}, cause ${outcome.cause}`);
          tally.expect(/\d/.test(outcome.message), `no bytes in: ${outcome.message}`);
        } else if (outcome.microBatch !== undefined) smaller++;
      }
      const failures = bench.trials("out").filter((trial) => {
        const outcome = readOutcome(trial);
        return outcome !== undefined && isFailure(outcome);
      }).length;
      tally.expect(code === (failures === 0 ? 0 : 5), `limit ${limit}: exit code ${code}\n${said}`);
      await bench.finish("out", tally, { args: ["--retry-failed"] });
      tally.done++;
      progress(tally.done);
    }
    tally.expect(count < 6 || (smaller > 0 && failed > 0), `${smaller} smaller, ${failed} failed`);
    tally.notes.push(`${smaller} trials with a smaller micro-batch, ${failed} failed`);
    return tally;
  },
};
