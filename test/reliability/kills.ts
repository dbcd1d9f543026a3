// kill -9 at any moment: a worker, the sweep, everything at once as in a power failure. Run again, the study must end with
// the bytes of one that nothing happened to, and no finished trial may be run again.

import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Check, Tally } from "./check.js";
import { childrenOf, slay } from "./processes.js";
import { Bench, compare, FinishedWatch, isRunning, shortStudy } from "./studies.js";

/** Strategies whose decisions do not depend on timing: synchronous ones, and an asynchronous one with one worker. */
const studies = [
  { name: "grid", text: shortStudy("150K", 2), workers: 2, share: 0.4 },
  { name: "halving", text: search("{ halving: { rungs: 3, keep: 50% } }"), workers: 2, share: 0.2 },
  { name: "asha", text: search("{ asha: { rungs: 3, keep: 50% } }"), workers: 1, share: 0.2 },
  {
    name: "evolution",
    text: search("{ evolution: { population: 5, generations: 2 } }"),
    workers: 2,
    share: 0.2,
  },
] as const;

function search(strategy: string): string {
  return shortStudy("60K")
    .replace("[0%, 25%, 50%]", "[0%, 12.5%, 25%, 37.5%, 50%]")
    .replace("model: { layers: 4, hidden: 16 }", "model: { hidden: 16 }")
    .replace("fill: mamba2", `fill: mamba2\n  strategy: ${strategy}`)
    .replace(/ {4}- \{ task: copy.*\n/, "");
}

export const kills: Check = {
  name: "kill -9",
  what: "SIGKILL at random moments to workers, sweeps and everything at once; grid, halving, asha, evolution",
  full: 500,
  small: 8,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const struck = { worker: 0, sweep: 0, everything: 0 };
    let rounds = 0;
    for (const { name, text, workers, share } of studies) {
      const home = join(folder, name);
      mkdirSync(home);
      const bench = new Bench(home, text);
      await bench.finish("calm", tally, { workers });
      const goal = tally.done + Math.max(1, Math.round(count * share));
      while (tally.done < goal && tally.wrong.length === 0) {
        const rough = `rough-${++rounds}`;
        const watch = new FinishedWatch(bench.study(rough));
        let sweep = await bench.start(rough, { workers });
        while (tally.done < goal) {
          await sleep(random() * 900);
          watch.look(tally);
          if (!isRunning(sweep)) break;
          const victim = pick(sweep.pid);
          if (victim === undefined) continue;
          tally.done++;
          struck[victim.kind]++;
          progress(tally.done);
          for (const pid of victim.pids) slay(pid);
          if (!victim.pids.includes(sweep.pid)) continue;
          if (isRunning(sweep)) await once(sweep, "exit");
          sweep = await bench.start(rough, { workers });
        }
        if (isRunning(sweep)) await once(sweep, "exit");
        if (sweep.exitCode !== 0) await bench.finish(rough, tally, { workers });
        watch.look(tally);
        compare(bench.study("calm"), bench.study(rough), tally);
      }
    }
    tally.notes.push(
      `${struck.worker} workers, ${struck.sweep} sweeps, ${struck.everything} times everything; ${rounds} studies`,
    );
    return tally;

    function pick(sweepPid: number) {
      const own = childrenOf(sweepPid);
      const draw = random();
      if (draw < 0.5) {
        const worker = own[Math.floor(random() * own.length)];
        return worker === undefined ? undefined : { kind: "worker" as const, pids: [worker] };
      }
      if (draw < 0.8) return { kind: "sweep" as const, pids: [sweepPid] };
      return { kind: "everything" as const, pids: [sweepPid, ...own] };
    }
  },
};
