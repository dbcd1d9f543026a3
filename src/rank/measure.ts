// The measure candidates are ranked by: the score over all tasks, the loss over all tasks, or one task's own figure.

import type { Metrics } from "../task/task.js";
import type { RankTask } from "./rank_types.js";
import { lossOf, primaryValue, scoreOf } from "./score.js";

/** Which way is better; undefined when `by` is neither score, loss nor the label of a task. */
export function measureDirection(by: string, tasks: readonly RankTask[]): "higher" | "lower" | undefined {
  if (by === "score") return "higher";
  if (by === "loss") return "lower";
  return tasks.find((candidate) => candidate.label === by)?.primary.direction;
}

/** The ranked measure of one seed, or undefined while a task it needs is missing. */
export function measureOf(
  by: string,
  tasks: readonly RankTask[],
  metricsOf: (task: RankTask) => Metrics | undefined,
): number | undefined {
  const needed = by === "score" || by === "loss" ? tasks : tasks.filter((task) => task.label === by);
  const found = needed.map(metricsOf).filter((metrics) => metrics !== undefined);
  if (found.length < needed.length) return undefined;
  if (by === "loss")
    return lossOf(
      needed,
      found.map((metrics) => metrics.loss),
    );
  const values = needed.map((task, i) => primaryValue(task, found[i]!));
  if (values.includes(undefined)) return undefined;
  return by === "score" ? scoreOf(needed, values as number[]) : values[0];
}
