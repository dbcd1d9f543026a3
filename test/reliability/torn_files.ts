// Files cut short at any byte, and bits that a disk has changed. Whatever is read must be what was written: either the damage is
// found and named, or it lies where it changes nothing. A sweep over a damaged study ends with the same bytes, at once or after
// the file that it names has been removed.

import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { trialEnds } from "../../src/cli/ranked_folder.js";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { rankStudy } from "../../src/rank/rank_study.js";
import { jsonText } from "../../src/study/json_file.js";
import { trialLayout } from "../../src/study/study_layout.js";
import { readMeasurements } from "../../src/study/study_measurements.js";
import { type Check, Tally, type Tools } from "./check.js";
import { childrenOf, slay } from "./processes.js";
import { Bench, compare, isRunning, shortStudy } from "./studies.js";

/** Damages one file; says what it did. */
type Damage = (path: string, random: () => number) => string;

const cutAfter = (length: number): Damage => {
  return (path) => {
    truncateSync(path, length);
    return `cut after ${length} bytes`;
  };
};
const cut: Damage = (path, random) => cutAfter(Math.floor(random() * statSync(path).size))(path, random);
const flip: Damage = (path, random) => {
  const bytes = readFileSync(path);
  if (bytes.length === 0) return "is empty";
  const at = Math.floor(random() * bytes.length);
  const bit = Math.floor(random() * 8);
  bytes[at]! ^= 1 << bit;
  writeFileSync(path, bytes);
  return `bit ${bit} of byte ${at} flipped`;
};

/** From this count on, also every byte of the last three records of a file of each kind. */
const everyByteFrom = 1_000;
/** Trials of about a second, so that they have checkpoints. */
export const longStudy = shortStudy("800K")
  .replace("[0%, 25%, 50%]", "[0%, 50%]")
  .replace(/ {4}- \{ task: copy.*\n/, "");
/** One of so many damages is also given to a sweep, which takes a second. */
const sweptShare = 1 / 100;

export const tornFiles: Check = {
  name: "torn files, flipped bits",
  what: "every file of a finished and of an interrupted study cut at random bytes, or with a bit flipped; read, and swept again",
  full: 6_000,
  small: 100,
  async run(count, tools) {
    const tally = new Tally();
    const bench = new Bench(tools.folder, shortStudy("40K"));
    await bench.finish("calm", tally);
    const found = readDamaged(bench, count, tools, tally);
    tally.notes.push(`${found} found and named when read, the others change nothing`);
    const swept = Math.max(2, Math.round(count * sweptShare));
    const named = await sweepDamaged(bench, swept, tools, tally);
    tally.notes.push(`${2 * swept} swept again, ${named} after the named file was removed`);
    return tally;
  },
};

/** Reads the study as rank, report and fidelity do, with one file damaged; returns how often it was found. */
function readDamaged(bench: Bench, count: number, { random, progress }: Tools, tally: Tally): number {
  const study = bench.study("calm");
  const files = filesOf(study);
  const expected = contents(study);
  let found = 0;
  for (let i = 0; i < count; i++) {
    const path = files[Math.floor(random() * files.length)]!;
    damageAndRead(path, i % 2 === 0 ? cut : flip);
  }
  if (count >= everyByteFrom) {
    for (const path of oneOfEachKind(files)) {
      for (const length of lastRecords(path)) damageAndRead(path, cutAfter(length));
    }
  }
  return found;

  function damageAndRead(path: string, damage: Damage): void {
    const before = readFileSync(path);
    const what = damage(path, random);
    try {
      tally.expect(contents(study) === expected, `${path}: ${what}, and was believed`);
    } catch (error) {
      found++;
      const ours = error instanceof LayermixError && error.message.includes(path);
      tally.expect(ours, `${path}: ${what}: ${(error as Error).stack}`);
    } finally {
      writeFileSync(path, before);
    }
    tally.done++;
    progress(tally.done);
  }
}

/** The first file of every kind: result.json, metrics.jsonl, a claim, its end ... */
function oneOfEachKind(files: readonly string[]): readonly string[] {
  const kinds = new Map(files.toReversed().map((path) => [basename(path).replaceAll(/\d+/g, "N"), path]));
  return [...kinds.values()];
}

/** Every length that cuts into the last three lines. */
function lastRecords(path: string): readonly number[] {
  const bytes = readFileSync(path);
  let from = bytes.length;
  for (let line = 0; line < 3 && from > 0; line++) from = bytes.lastIndexOf(10, from - 2) + 1;
  return Array.from({ length: bytes.length - from }, (_, i) => from + i);
}

/** Everything that a ranking and a report are made of; throws what is damaged. */
function contents(study: string): string {
  const { document, trials } = readMeasurements(study);
  const ranking = jsonText(rankStudy(document, trialEnds(study)));
  return ranking + JSON.stringify(trials.map(({ endedAt: _, ...trial }) => trial));
}

/** Sweeps over damaged studies: finished ones, and ones that were killed in the middle of a trial. */
async function sweepDamaged(bench: Bench, count: number, tools: Tools, tally: Tally): Promise<number> {
  const home = join(tools.folder, "longer");
  mkdirSync(home);
  const longer = new Bench(home, longStudy);
  await longer.finish("calm", tally);
  await interrupt(longer, tally);
  let named = 0;
  for (let i = 0; i < 2 * count && tally.wrong.length < 10; i++) {
    const finished = i % 2 === 0;
    const wrongBefore = tally.wrong.length;
    const { path, what, removed } = finished
      ? await sweepOver(bench, "calm", () => true, tools, tally)
      : // What the next owner of the trial relies on.
        await sweepOver(longer, "halfway", (file) => /metrics\.jsonl|checkpoint/.test(file), tools, tally);
    if (tally.wrong.length > wrongBefore) tally.wrong.push(`(${path}: ${what})`);
    if (removed) named++;
    tally.done++;
    tools.progress(tally.done);
  }
  return named;
}

/** Damages a file in a copy of a study and sweeps over it, after the file has been removed if the sweep or the reading names it. */
async function sweepOver(
  bench: Bench,
  from: string,
  wanted: (path: string) => boolean,
  { random }: Tools,
  tally: Tally,
) {
  const study = bench.study("rough");
  cpSync(bench.study(from), study, { recursive: true, preserveTimestamps: true });
  const files = filesOf(study).filter(wanted);
  const path = files[Math.floor(random() * files.length)]!;
  const what = (random() < 0.5 ? cut : flip)(path, random);
  const { code, said } = await bench.run("rough");
  let removed = false;
  if (code === 6) {
    tally.expect(said.includes(path.slice(bench.folder.length + 1)), `${path}: not named\n${said}`);
    rmSync(path);
    removed = true;
  } else {
    tally.expect(code === 0, `${path}: exit code ${code}\n${said}`);
    try {
      contents(study);
    } catch (error) {
      // The curve of a finished trial, which a sweep has no need to read.
      tally.expect((error as Error).message.includes(path), `${path}: ${(error as Error).stack}`);
      rmSync(path);
      rmSync(join(path, "../result.json"));
      removed = true;
    }
  }
  if (removed) await bench.finish("rough", tally);
  compare(bench.study("calm"), study, tally);
  rmSync(study, { recursive: true, force: true });
  return { path, what, removed };
}

/** Kills a study called halfway when it has checkpoints; on a busy machine it may take a few attempts to be quick enough. */
export async function interrupt(bench: Bench, tally: Tally): Promise<void> {
  const saved = (): boolean =>
    bench.trials("halfway").some((trial) => existsSync(trialLayout.previousCheckpoint(trial)));
  for (let attempt = 0; attempt < 20; attempt++) {
    rmSync(bench.study("halfway"), { recursive: true, force: true });
    const sweep = await bench.start("halfway");
    while (isRunning(sweep) && !saved()) await sleep(5);
    for (const pid of [sweep.pid, ...childrenOf(sweep.pid)]) slay(pid);
    if (isRunning(sweep)) await once(sweep, "exit");
    if (saved()) return;
  }
  tally.wrong.push("the study was over before it could be interrupted, twenty times");
}

/** Files that layermix reads again: not the logs, nor the copy of the study file. */
function filesOf(study: string): readonly string[] {
  return readdirSync(study, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(log|yaml)$/.test(entry.name) && !entry.name.includes(".tmp-"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
