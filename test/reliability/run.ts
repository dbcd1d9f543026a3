// npm run reliability - every check with its full count, one line of the table each as it ends. Names of checks as arguments run
// those alone; LAYERMIX_CRASH_SEED=N repeats a run, LAYERMIX_RELIABILITY=0.1 does a tenth of everything.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { Tally } from "./check.js";
import { Skipped } from "./check.js";
import { checks } from "./checks.js";
import { randomNumbers } from "./processes.js";

const seed = Number(process.env.LAYERMIX_CRASH_SEED ?? Date.now() % 1_000_000);
const scale = Number(process.env.LAYERMIX_RELIABILITY ?? 1);
const wanted = process.argv.slice(2);
const columns = ["check", "times", "lost", "duplicated", "wrong", "seconds", "verdict"] as const;
const widths = [Math.max(...checks.map(({ name }) => name.length)), 6, 4, 10, 5, 7, 7];

function line(cells: readonly (string | number)[], end = ""): string {
  const padded = cells.map((cell, i) =>
    i === 0 ? String(cell).padEnd(widths[i]!) : String(cell).padStart(widths[i]!),
  );
  return `${padded.join("  ")}${end === "" ? "" : `  ${end}`}`;
}

function progressOf(name: string, count: number): (done: number) => void {
  if (!process.stderr.isTTY) return () => {};
  return (done) => process.stderr.write(`\r\x1b[K${name}: ${done} of ${count}`);
}

const home = mkdtempSync(join(tmpdir(), "layermix-reliability-"));
console.log(`layermix reliability, LAYERMIX_CRASH_SEED=${seed}\n`);
console.log(line(columns));
let failed = false;
for (const [index, check] of checks.entries()) {
  if (wanted.length > 0 && !wanted.some((word) => check.name.includes(word))) continue;
  const folder = join(home, String(index));
  mkdirSync(folder);
  const count = Math.max(1, Math.round(check.full * scale));
  const begin = performance.now();
  let tally: Tally;
  try {
    tally = await check.run(count, {
      folder,
      random: randomNumbers(seed + index),
      progress: progressOf(check.name, count),
    });
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
    console.log(line([check.name, "-", "-", "-", "-", "-", "skipped"], `skipped: ${error.message}`));
    continue;
  } finally {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
  const seconds = Math.round((performance.now() - begin) / 1000);
  const { done, lost, duplicated, wrong, notes } = tally;
  console.log(
    line(
      [check.name, done, lost, duplicated, wrong.length, seconds, tally.ok ? "ok" : "FAILED"],
      notes.join("; "),
    ),
  );
  for (const reason of wrong.slice(0, 5)) console.log(`    ${reason.replaceAll("\n", "\n    ")}`);
  if (!tally.ok) failed = true;
  else rmSync(folder, { recursive: true, force: true });
}
console.log(
  failed ? `\nfailed; the studies are in ${home}` : "\nnothing lost, nothing run twice, no byte changed",
);
if (!failed) rmSync(home, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;
