// From a task's own figure to one number. Each task is put on [0, 1] by a fixed rule that knows nothing of the other
// candidates: accuracy stays as it is (probability of a right answer); bits per byte becomes 2^-bits and a loss e^-nats,
// the geometric mean of the probability given to the right byte or token. A uniform guess over a vocabulary V gives 1/V
// on all three. So a candidate's score does not move when another joins or leaves, and a task on which all candidates
// are alike stays flat instead of having its noise stretched to the full range, as z-scores or min-max would do.

import type { MetricName, Metrics } from "../task/task.js";
import type { RankTask } from "./rank_types.js";

/** The task's figure on [0, 1], higher is better. */
export function utility(metric: MetricName, value: number): number {
  switch (metric) {
    case "accuracy":
      return value;
    case "bitsPerByte":
      return 2 ** -value;
    case "loss":
      return Math.exp(-value);
  }
}

/** The figure a task is judged by; undefined if the trial did not report it. */
export function primaryValue(task: RankTask, metrics: Metrics): number | undefined {
  return metrics[task.primary.name];
}

/** 100 * weighted mean of the utilities; `values` in the order of `tasks`. */
export function scoreOf(tasks: readonly RankTask[], values: readonly number[]): number {
  const total = tasks.reduce((sum, task) => sum + task.weight, 0);
  const sum = tasks.reduce((acc, task, i) => acc + task.weight * utility(task.primary.name, values[i]!), 0);
  return (100 * sum) / total;
}

/** Weighted mean of the losses, nats per counted token. */
export function lossOf(tasks: readonly RankTask[], losses: readonly number[]): number {
  const total = tasks.reduce((sum, task) => sum + task.weight, 0);
  return tasks.reduce((acc, task, i) => acc + task.weight * losses[i]!, 0) / total;
}

/** The formula as printed under a ranking. */
export function formulaOf(by: string, tasks: readonly RankTask[]): string {
  const weighted = (term: (task: RankTask) => string) =>
    tasks.map((task) => (task.weight === 1 ? term(task) : `${task.weight} x ${term(task)}`)).join(" + ");
  const total = tasks.reduce((sum, task) => sum + task.weight, 0);
  if (by === "score") return `score = 100 x (${weighted(utilityText)}) / ${total}`;
  if (by === "loss") return `loss = (${weighted((task) => `${task.label} loss`)}) / ${total}, nats per token`;
  const task = tasks.find((candidate) => candidate.label === by)!;
  return `${by} = ${task.primary.title}, ${task.primary.direction} is better`;
}

function utilityText(task: RankTask): string {
  switch (task.primary.name) {
    case "accuracy":
      return `${task.label} ${task.primary.title}`;
    case "bitsPerByte":
      return `2^-(${task.label} bits/byte)`;
    case "loss":
      return `e^-(${task.label} loss)`;
  }
}
