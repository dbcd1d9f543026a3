// Two sweeps on one folder whose clocks are two hours apart: nobody takes a live claim for a dead one, and the trials of one that
// is killed are taken over whatever its clock said.

import { once } from "node:events";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Check, Tally } from "./check.js";
import { FaultShim } from "./fault_shim.js";
import { childrenOf, slay } from "./processes.js";
import { Bench, begun, compare, ended, isRunning, shortStudy } from "./studies.js";

const hour = 3600;

export const clocks: Check = {
  name: "clocks two hours apart",
  what: "two sweeps, one an hour ahead, one an hour behind; in every second round one is killed",
  full: 20,
  small: 2,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, shortStudy("40K", 2));
    const shim = new FaultShim(folder);
    await bench.finish("calm", tally);
    let taken = 0;
    while (tally.done < count) {
      const name = `rough-${tally.done}`;
      const both = await Promise.all(
        [hour, -hour].map((seconds) => bench.start(name, { workers: 1, env: shim.skewed(seconds) })),
      );
      const killed = tally.done % 2 === 1 ? both[Math.floor(random() * 2)]! : undefined;
      if (killed !== undefined) {
        while (isRunning(killed) && begun(bench.study(name)).size < 2) await sleep(20);
        await sleep(random() * 500);
        for (const pid of [killed.pid, ...childrenOf(killed.pid)]) slay(pid);
        if (isRunning(killed)) await once(killed, "exit");
      }
      for (const sweep of both) {
        const { code, said } = await ended(sweep);
        tally.expect(sweep === killed || code === 0, `${name}: exit code ${code}\n${said}`);
      }
      const counts = begun(bench.study(name));
      for (const trial of bench.trials(name)) {
        const again = (counts.get(basename(trial)) ?? 0) - 1;
        if (again < 0) tally.lost++;
        if (killed === undefined) tally.duplicated += Math.max(0, again);
        else taken += Math.max(0, again);
      }
      compare(bench.study("calm"), bench.study(name), tally);
      tally.done++;
      progress(tally.done);
    }
    tally.expect(count < 10 || taken > 0, "no trial was taken over");
    tally.notes.push(`${taken} trials taken over from the killed`);
    return tally;
  },
};
