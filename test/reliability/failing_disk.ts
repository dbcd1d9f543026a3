// Every file operation of a sweep fails once, the k-th in the k-th run: reading, writing (also half of it), syncing, renaming, linking,
// touching. A run either passes over it or ends with our words, the path and exit code 6; run again, nothing is missing.

import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Check, Tally, type Tools } from "./check.js";
import { type Fault, FaultShim } from "./fault_shim.js";
import { Bench, compare, ended, FinishedWatch, fruits, shortStudy } from "./studies.js";
import { interrupt, longStudy } from "./torn_files.js";

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
    const resumed = await resumes(
      Math.max(1, Math.round(count / 20)),
      bench,
      shim,
      { random, progress },
      tally,
    );
    const reading = await commands(count, bench, shim, progress, tally);
    tally.notes.push(
      `${operations} operations in a sweep; ${failures} runs ended with exit code 6, the others passed over it; ${resumed} in resumes, ${reading} in rank, report and export`,
    );
    return tally;
  },
};

/** The same while a killed study goes on from its checkpoints. */
async function resumes(
  count: number,
  { folder }: Bench,
  shim: FaultShim,
  { random, progress }: Pick<Tools, "random" | "progress">,
  tally: Tally,
): Promise<number> {
  const home = join(folder, "longer");
  mkdirSync(home);
  const longer = new Bench(home, longStudy);
  await longer.finish("calm", tally);
  await interrupt(longer, tally);
  const again = (name: string): void =>
    cpSync(longer.study("halfway"), longer.study(name), { recursive: true, preserveTimestamps: true });
  again("counted");
  await longer.finish("counted", tally, {
    ...one,
    env: shim.failing(longer.study("counted"), { at: 0, errno: "EIO" }),
  });
  const operations = shim.operations;
  for (let i = 0; i < count; i++) {
    const name = `rough-${i}`;
    again(name);
    await failOnce(longer, shim, name, kindOf(1 + Math.floor(random() * operations)), tally);
    compare(longer.study("calm"), longer.study(name), tally);
    rmSync(longer.study(name), { recursive: true });
    tally.done++;
    progress(tally.done);
  }
  return count;
}

/** And while finished studies are read: nothing in them may change. */
async function commands(
  most: number,
  bench: Bench,
  shim: FaultShim,
  progress: Tools["progress"],
  tally: Tally,
): Promise<number> {
  const before = fruits(bench.study("calm"));
  let times = 0;
  for (const argv of [["rank"], ["report"], ["export", "csv"]]) {
    const run = async (at: number) =>
      ended(
        await bench.launch([...argv, "calm"], {
          env: shim.failing(bench.study("calm"), { at, errno: "EIO" }),
        }),
      );
    tally.expect((await run(0)).code === 0, `${argv.join(" ")} failed without a fault`);
    const operations = shim.operations;
    const step = Math.max(1, Math.ceil(operations / most));
    for (let at = 1; at <= operations; at += step) {
      const { code, said } = await run(at);
      const where = `${argv.join(" ")}, operation ${at}`;
      tally.expect(code === 0 || code === 6, `${where}: exit code ${code}\n${said}`);
      if (code === 6)
        tally.expect(/^error\[LMX\d{4}\]: Expected /m.test(said), `${where}: not our words\n${said}`);
      times++;
      tally.done++;
      progress(tally.done);
    }
  }
  const after = fruits(bench.study("calm"));
  for (const [path, bytes] of before) tally.expect(after.get(path) === bytes, `${path} has other bytes`);
  return times;
}

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
