// A folder that cannot be written: the sweep says so with the path and exit code 6, at the start and for a finished study.

import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { trialLayout } from "../../src/study/study_layout.js";
import { type Check, Skipped, Tally } from "./check.js";
import { Bench, compare, shortStudy } from "./studies.js";

const nobody = 65534;

export const readOnly: Check = {
  name: "read-only folders",
  what: "a sweep into a folder without write permission, at several depths of the study; then with permission",
  full: 12,
  small: 1,
  async run(count, { folder, progress }) {
    if (process.platform !== "linux") throw new Skipped("needs Linux");
    const tally = new Tally();
    const bench = new Bench(folder, shortStudy("6K"));
    await bench.finish("calm", tally);
    // Permissions do not bind root: the sweep runs as nobody.
    const drop =
      process.getuid?.() === 0 ? `setpriv --reuid=${nobody} --regid=${nobody} --clear-groups ` : "";
    for (let at = folder; at !== "/"; at = join(at, "..")) chmodSync(at, statSync(at).mode | 0o555);
    while (tally.done < count) {
      const name = `rough-${tally.done}`;
      const study = bench.study(name);
      // The study folder; its trials; one trial, which is to be run again: what lies above may be written.
      const depth = tally.done % 3;
      let target = study;
      if (depth < 2) {
        if (depth === 1) target = join(study, "trials");
        mkdirSync(target, { recursive: true });
      } else {
        cpSync(bench.study("calm"), study, { recursive: true });
        target = bench.trials(name)[0]!;
        rmSync(trialLayout.result(target));
        rmSync(trialLayout.metrics(target));
      }
      for (const entry of readdirSync(study, { recursive: true }))
        chmodSync(join(study, String(entry)), 0o777);
      chmodSync(study, 0o777);
      chmodSync(target, 0o555);
      const before = readdirSync(target, { recursive: true }).length;
      const { code, said } = await bench.run(name, { shell: `exec ${drop}"$0" "$@"` });
      tally.expect(code === 6, `${name}, depth ${depth}: exit code ${code}\n${said}`);
      tally.expect(/^error\[LMX4002\]: .*permission denied/m.test(said), `${name}: not our words\n${said}`);
      tally.expect(said.includes(name), `${name}: no path\n${said}`);
      if (depth < 2) {
        const after = readdirSync(target, { recursive: true }).length;
        tally.expect(after === before, `${name}: something was written`);
      }
      chmodSync(target, 0o777);
      await bench.finish(name, tally);
      compare(bench.study("calm"), study, tally);
      tally.done++;
      progress(tally.done);
    }
    return tally;
  },
};
