// One of the racing processes of claim.test.ts: says "ready", waits for the starting shot (a file), then tries to claim
// every trial folder given, in an order of its own, and prints those it got. It holds them until it exits, after all.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { tryClaim } from "../../src/study/claim.js";
import { identifyProcess } from "../../src/study/process_identity.js";

const [go, ...trials] = process.argv.slice(2) as [string, ...string[]];
process.stdout.write("ready\n");
while (!existsSync(go)) await sleep(2);
const here = identifyProcess();
const offset = process.pid % 7;
for (let i = 0; i < trials.length; i++) {
  const trial = trials[(i + offset) % trials.length]!;
  if (tryClaim(trial, here) !== undefined) process.stdout.write(`${trial}\n`);
}
await sleep(2_000); // stay alive, or the others would rightly succeed us
