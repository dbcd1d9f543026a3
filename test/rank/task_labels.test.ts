import assert from "node:assert/strict";
import { taskLabels } from "../../src/rank/task_labels.js";
import type { TaskSpec } from "../../src/spec/spec.js";

const task = (
  name: string,
  options: Record<string, unknown> = {},
  extra: Partial<TaskSpec> = {},
): TaskSpec => ({
  task: name,
  weight: 1,
  options,
  ...extra,
});

describe("taskLabels", () => {
  it("uses the task's name where it is enough", () => {
    assert.deepEqual(taskLabels([task("text", { files: ["a"] }), task("recall", { pairs: 8 })]), [
      "text",
      "recall",
    ]);
  });

  it("adds only the options that tell twins apart", () => {
    const tasks = [task("recall", { pairs: 8, vocab: 64 }), task("recall", { pairs: 32, vocab: 64 })];
    assert.deepEqual(taskLabels(tasks), ["recall(pairs=8)", "recall(pairs=32)"]);
  });

  it("counts budgets as options, and leaves out what a task does not set", () => {
    const tasks = [task("recall"), task("recall", {}, { sequence: 512 })];
    assert.deepEqual(taskLabels(tasks), ["recall", "recall(sequence=512)"]);
  });

  it("numbers tasks that are the same in every word", () => {
    assert.deepEqual(taskLabels([task("copy"), task("copy")]), ["copy", "copy#2"]);
  });
});
