// Every file operation of a sweep fails once, the k-th in the k-th run: reading, writing (also half of it), syncing, renaming, linking,
// touching. A run either passes over it or ends with our words, the path and exit code 6; run again, nothing is missing.

import { type Check, Tally } from "./check.js";
import { type Fault, FaultShim } from "./fault_shim.js";
import { Bench, compare, FinishedWatch, shortStudy } from "./studies.js";

export const diskStudy = shortStudy("3K")
  .replace("[0%, 25%, 50%]", "[0%, 50%]")
  .replace(/ {4}- \{ task: copy.*\n/, "");
const one = { workers: 1 };

export const failingDisk: Check = {
  name: "the k-th file operation fails",
  what: "for every k: an I/O error, a full disk, or half a write and then a full disk; then the same command again",
  full: 1_000,
  small: 5,
  async run(count, { folder, random, progress }) {
    const tally = new Tally();
    const bench = new Bench(folder, diskStudy);
    const shim = new FaultShim(folder);
    const calm = shim.failing(bench.study("calm"), { at: 0, errno: "EIO" });
    await bench.finish("calm", tally, { ...one, env: calm });
    const operations = shim.operations;
    tally.expect(operations > 100, `only ${operations} operations were seen: the shim does not work`);
    const every = Array.from({ length: operations }, (_, i) => i + 1);
    const chosen =
      count >= operations
        ? every
        : Array.from({ length: count }, () => 1 + Math.floor(random() * operations));
    let failures = 0;
    for (const at of chosen) {
      const name = `rough-${at}-${tally.done}`;
      const fault = kindOf(at);
      if (await failOnce(bench, shim, name, fault, tally)) failures++;
      compare(bench.study("calm"), bench.study(name), tally);
      tally.done++;
      progress(tally.done);
      if (tally.wrong.length > 20) break;
    }
    tally.notes.push(
      `${operations} operations in a sweep; ${failures} runs ended with exit code 6, the others passed over it`,
    );
    return tally;
  },
};

function kindOf(at: number): Fault {
  if (at % 3 === 0) return { at, errno: "EIO" };
  return { at, errno: "ENOSPC", short: at % 3 === 1 };
}

/** Runs with the fault, then without; true when the first run failed. */
export async function failOnce(
  bench: Bench,
  shim: FaultShim,
  name: string,
  fault: Fault,
  tally: Tally,
): Promise<boolean> {
  const study = bench.study(name);
  const watch = new FinishedWatch(study);
  const { code, said } = await bench.run(name, { ...one, env: shim.failing(study, fault) });
  const where = `operation ${fault.at} (${fault.errno}${fault.short ? ", short" : ""}${fault.sticky ? ", from then on" : ""})`;
  tally.expect(code === 0 || code === 6, `${where}: exit code ${code}\n${said}`);
  if (code === 6) {
    tally.expect(/^error\[LMX\d{4}\]: Expected /m.test(said), `${where}: not our words\n${said}`);
    tally.expect(said.includes(`${name}`), `${where}: no path\n${said}`);
  }
  watch.look(tally);
  await bench.finish(name, tally, one);
  watch.look(tally);
  return code !== 0;
}
