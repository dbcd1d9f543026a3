// How fast tasks make training data, on one core: tokens per second of trainBatch, median of five rounds. Training on a
// CPU consumes some 10^4 to 10^5 tokens per second and a GPU some 10^6 to 10^7: data must not be what waits.
// Run: node --import tsx bench/tasks.ts

import { fileURLToPath } from "node:url";
import type { TaskSpec } from "../src/spec/spec.js";
import { createTask } from "../src/task/create_task.js";

const cases: readonly (readonly [sequence: number, task: string, options: TaskSpec["options"]])[] = [
  [512, "text", { files: ["devils-dictionary.txt"] }],
  [512, "recall", { pairs: 16 }],
  [512, "recall", { pairs: 64 }],
  [512, "recall", { pairs: 128, vocab: 8192 }],
  [512, "phonebook", { entries: 24 }],
  [512, "phonebook", { entries: 24, order: "reversed" }],
  [256, "copy", {}],
  [128, "context_recall", {}],
  [128, "fuzzy_recall", {}],
  [128, "noisy_recall", {}],
  [64, "compression", {}],
  [32, "memorization", {}],
  [256, "listops", {}],
  [2048, "listops", {}],
];
const rows = 32;
const folder = fileURLToPath(new URL("../presets/corpus", import.meta.url));

console.log("task, options, sequence: M tokens/s");
for (const [sequence, name, options] of cases) {
  const task = await createTask({ sequence }, { task: name, weight: 1, options }, 0, folder);
  const rounds = Array.from({ length: 6 }, (_, round) => {
    const steps = Math.ceil(2e6 / (rows * sequence));
    const started = performance.now();
    for (let step = 0; step < steps; step++) task.trainBatch(round * steps + step, rows);
    return (steps * rows * sequence) / (performance.now() - started) / 1e3;
  });
  const [, , median] = rounds.slice(1).sort((a, b) => a - b);
  console.log(`${name}, ${JSON.stringify(options)}, ${sequence}: ${median!.toFixed(1)}`);
}
