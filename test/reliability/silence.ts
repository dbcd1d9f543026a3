// A sweep and its worker are stopped (SIGSTOP: a suspended laptop, a paused container) for longer than a heartbeat may stand still.
// Their trial is taken over; when they go on, they see that it is no longer theirs, and nothing that was published changes.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runPool } from "../../src/run/pool.js";
import { readStudy } from "../../src/study/study_document.js";
import { studyLayout } from "../../src/study/study_layout.js";
import { type Check, Tally } from "./check.js";
import { childrenOf } from "./processes.js";
import { Bench, begun, compare, ended, FinishedWatch, isRunning, shortStudy } from "./studies.js";

/** Instead of a minute. */
const silenceMilliseconds = 1_500;

export const silence: Check = {
  name: "stopped beyond the heartbeat",
  what: "SIGSTOP to a sweep in the middle of a trial, another takes over, SIGCONT: the late owner changes nothing",
  full: 30,
  small: 1,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, shortStudy("60K"));
    await bench.finish("calm", tally);
    let takenOver = 0;
    let round = 0;
    for (; tally.done < count && tally.wrong.length === 0; round++) {
      tally.expect(round < 3 * count + 10, `only ${tally.done} of ${round} stops met a trial`);
      const name = `rough-${round}`;
      const study = bench.study(name);
      const stopped = await bench.start(name, { workers: 1 });
      while (isRunning(stopped) && begun(study).size === 0) await sleep(5);
      await sleep(random() * 600);
      if (!isRunning(stopped)) continue; // it was over before it could be stopped
      const pids = [stopped.pid, ...childrenOf(stopped.pid)];
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const never = new AbortController().signal;
      const jobs = readStudy(study).trials.map(({ id }) => ({ id, until: Number.MAX_SAFE_INTEGER }));
      const { complete } = await runPool({
        studyFolder: study,
        director: { next: () => ({ jobs, state: "closed" }) },
        device: "cpu",
        threads: 1,
        trialsAtOnce: 1,
        checkpointSeconds: 0.1,
        keepCheckpoints: false,
        workers: 2,
        silenceMilliseconds,
        stop: never,
        kill: never,
        onEvent: () => {},
      });
      tally.expect(complete, `${name}: the other sweep did not finish`);
      const watch = new FinishedWatch(study);
      watch.look(tally);
      for (const pid of pids) process.kill(pid, "SIGCONT");
      const { code, said } = await ended(stopped);
      tally.expect(code === 0, `${name}: the stopped sweep ended with ${code}\n${said}`);
      watch.look(tally);
      compare(bench.study("calm"), study, tally);
      const taken = readStudy(study).trials.filter(({ id }) => {
        const claims = join(studyLayout.trial(study, id), "claims");
        return readdirSync(claims).includes("0002.json");
      }).length;
      if (taken === 0) continue; // it was stopped between two trials
      takenOver += taken;
      tally.done++;
      progress(tally.done);
    }
    tally.notes.push(`${takenOver} trials taken over in ${round} rounds`);
    return tally;
  },
};
