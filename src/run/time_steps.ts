// Run by measure_step.ts as a process of its own: reads a trainer's configuration from stdin, takes some steps on made-up
// tokens, and prints the median seconds of a step.

import { readFileSync } from "node:fs";
import { addonFor, loadNative } from "./load_native.js";
import type { NativeTrainerConfig } from "./native.js";
import { stepsPerCall, type TimedCall } from "./steps_per_call.js";

/** The first calls allocate, compile and warm caches. */
const warmUp = 2;
const leastCalls = 5;
const leastSeconds = 0.3;
const mostCalls = 200;

const config = JSON.parse(readFileSync(0, "utf8")) as NativeTrainerConfig;
const native = loadNative(addonFor(config.device));
const trainer = new native.Trainer(config);
const tokens = Int32Array.from(
  { length: config.batch * config.sequence },
  (_, i) => (i * 7_919) % config.model.vocab,
);
const times: number[] = [];
let total = 0;
let last: TimedCall | undefined;
for (let call = 0; call < mostCalls && (times.length < leastCalls || total < leastSeconds); call++) {
  // As many steps at once as a trial would take.
  const steps = call < warmUp ? 1 : stepsPerCall(last);
  const begin = performance.now();
  await trainer.train(Array.from({ length: steps }, () => ({ tokens, targets: tokens })));
  const seconds = (performance.now() - begin) / 1_000;
  last = { steps, seconds };
  if (call < warmUp) continue;
  times.push(seconds / steps);
  total += seconds;
}
trainer.dispose();
times.sort((a, b) => a - b);
process.stdout.write(JSON.stringify({ seconds: times[Math.floor(times.length / 2)] }));
