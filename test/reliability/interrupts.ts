// Ctrl-C and SIGTERM at random moments. Once: the step is finished, checkpoints are saved, claims given back, and the exit code
// and the last lines say how to go on. Twice: gone at once. Either way the same command ends with the same bytes.

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readClaim } from "../../src/study/claim.js";
import { readOutcome } from "../../src/study/outcome.js";
import { trialLayout } from "../../src/study/study_layout.js";
import { type Check, Tally } from "./check.js";
import { childrenOf } from "./processes.js";
import { Bench, compare, ended, FinishedWatch, isRunning, shortStudy } from "./studies.js";

const codes = { SIGINT: 130, SIGTERM: 143 } as const;

export const interrupts: Check = {
  name: "Ctrl-C, SIGTERM",
  what: "interrupted once (saves, says how to go on) or twice (leaves at once) at random moments, then run again",
  full: 60,
  small: 2,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, shortStudy("150K", 2));
    await bench.finish("calm", tally);
    let twice = 0;
    for (let round = 1; tally.done < count && tally.wrong.length === 0; round++) {
      const name = `rough-${round}`;
      const watch = new FinishedWatch(bench.study(name));
      while (tally.done < count) {
        const sweep = await bench.start(name);
        // Before it listens, a signal ends it as any other program.
        while (isRunning(sweep) && childrenOf(sweep.pid).length === 0) await sleep(5);
        await sleep(random() * 1_500);
        watch.look(tally);
        if (!isRunning(sweep)) break;
        const own = childrenOf(sweep.pid);
        const signal = random() < 0.5 ? "SIGINT" : "SIGTERM";
        const again = random() < 0.4;
        sweep.kill(signal);
        if (again) {
          await sleep(random() * 30);
          sweep.kill(signal);
          twice++;
        }
        const { code, signal: died, said } = await ended(sweep);
        // It was over before the signal came, or had run every trial and listened no more.
        const over = bench.trials(name).every((trial) => readOutcome(trial) !== undefined);
        if (code === 0 || (died === signal && over)) break;
        tally.done++;
        progress(tally.done);
        // A second signal can meet a process that has said everything and is being taken down.
        const gone = again && died === signal && said.includes("LMX4014");
        tally.expect(
          code === codes[signal] || gone,
          `${signal}${again ? " twice" : ""}: exit code ${code}\n${said}`,
        );
        if (again) {
          while (own.some((pid) => existsSync(`/proc/${pid}`))) await sleep(5);
          continue;
        }
        tally.expect(/LMX4014/.test(said), `${signal}: no message\n${said}`);
        tally.expect(/Run the same command again to go on: layermix sweep/.test(said), `no way on\n${said}`);
        for (const trial of bench.trials(name)) {
          const claim = readClaim(trialLayout.claims(trial));
          const owner = claim?.record?.owner.pid ?? 0;
          const kept = claim !== undefined && !claim.ended && own.includes(owner);
          tally.expect(!kept, `${trial} is still claimed after ${signal}`);
        }
      }
      await bench.finish(name, tally);
      watch.look(tally);
      compare(bench.study("calm"), bench.study(name), tally);
    }
    tally.notes.push(`${twice} of them twice`);
    return tally;
  },
};
