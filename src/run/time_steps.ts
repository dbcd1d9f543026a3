// Run by measure_step.ts as a process of its own: reads a trainer's configuration from stdin, takes some steps on made-up
// tokens, and prints the median seconds of a step.

import { readFileSync } from "node:fs";
import { addonFor, loadNative } from "./load_native.js";
import type { NativeTrainerConfig } from "./native.js";

/** The first steps allocate, compile and warm caches. */
const warmUp = 2;
const leastSteps = 5;
const leastSeconds = 0.3;
const mostSteps = 200;

const config = JSON.parse(readFileSync(0, "utf8")) as NativeTrainerConfig;
const native = loadNative(addonFor(config.device));
const trainer = new native.Trainer(config);
const tokens = Int32Array.from(
  { length: config.batch * config.sequence },
  (_, i) => (i * 7_919) % config.model.vocab,
);
const times: number[] = [];
let total = 0;
for (let step = 0; step < mostSteps && (times.length < leastSteps || total < leastSeconds); step++) {
  const begin = performance.now();
  await trainer.step(tokens, tokens);
  const seconds = (performance.now() - begin) / 1_000;
  if (step < warmUp) continue;
  times.push(seconds);
  total += seconds;
}
trainer.dispose();
times.sort((a, b) => a - b);
process.stdout.write(JSON.stringify({ seconds: times[Math.floor(times.length / 2)] }));
