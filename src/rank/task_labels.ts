// A short name for every task of a study: the task's own, or with the options that tell two apart.

import type { TaskSpec } from "../spec/spec.js";

/**
 * Labels in the order of the tasks: "text", "recall"; for a task used twice "recall(pairs=16)", "recall(pairs=64)";
 * for tasks that are the same in every word "recall", "recall#2".
 */
export function taskLabels(tasks: readonly TaskSpec[]): readonly string[] {
  const labels = tasks.map((task) => {
    const twins = tasks.filter((other) => other.task === task.task);
    if (twins.length === 1) return task.task;
    const fields = twins.map(fieldsOf);
    const names = [...new Set(fields.flatMap((entry) => [...entry.keys()]))].sort();
    const telling = names.filter((name) => new Set(fields.map((entry) => entry.get(name))).size > 1);
    const own = fieldsOf(task);
    const parts = telling.filter((name) => own.has(name)).map((name) => `${name}=${own.get(name)}`);
    return parts.length === 0 ? task.task : `${task.task}(${parts.join(",")})`;
  });
  return labels.map((label, i) => {
    const before = labels.slice(0, i).filter((other) => other === label).length;
    return before === 0 ? label : `${label}#${before + 1}`;
  });
}

function fieldsOf(task: TaskSpec): ReadonlyMap<string, string> {
  const budget = { sequence: task.sequence, tokens: task.tokens, batch_tokens: task.batchTokens };
  const entries = Object.entries({ ...task.options, ...budget }).filter(([, value]) => value !== undefined);
  return new Map(
    entries.map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
  );
}
