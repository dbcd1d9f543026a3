// Eight sweeps at once on one folder, none knowing of the others: each trial is begun once, and all see the same end.

import { basename } from "node:path";
import { type Check, Tally } from "./check.js";
import { Bench, begun, compare, ended, shortStudy } from "./studies.js";

const sweeps = 8;

export const racing: Check = {
  name: "eight sweeps on one folder",
  what: "eight sweeps start at the same time on an empty folder; every trial runs once",
  full: 20,
  small: 1,
  async run(count, { folder, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, shortStudy("10K", 4));
    await bench.finish("calm", tally);
    let trials = 0;
    for (let repeat = 1; repeat <= count; repeat++) {
      const name = `race-${repeat}`;
      const all = await Promise.all(Array.from({ length: sweeps }, () => bench.start(name, { workers: 1 })));
      for (const { code, said } of await Promise.all(all.map(ended))) {
        tally.expect(code === 0, `${name}: exit code ${code}\n${said}`);
      }
      const counts = begun(bench.study(name));
      for (const trial of bench.trials(name)) {
        trials++;
        const times = counts.get(basename(trial)) ?? 0;
        if (times === 0) tally.lost++;
        else if (times > 1) tally.duplicated++;
      }
      compare(bench.study("calm"), bench.study(name), tally);
      tally.done++;
      progress(tally.done);
    }
    tally.notes.push(`${trials} trials, ${sweeps * count} sweeps`);
    return tally;
  },
};
