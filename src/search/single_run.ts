// `layermix train` as a study of one trial: the model itself instead of its sweep, one task, one seed.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import type { Spec, TaskSpec } from "../spec/spec.js";

/** What the command line may change; the study file's own values otherwise. */
export interface SingleRunChoice {
  /** Name of one of the study's tasks; the first by default. */
  readonly task?: string | undefined;
  readonly tokens?: number | undefined;
  readonly sequence?: number | undefined;
  readonly batchTokens?: number | undefined;
}

/** The spec of that one run. Throws LMX4018 (exit 2) when the study has no such task. */
export function singleRunSpec(spec: Spec, choice: SingleRunChoice): Spec {
  const { sweep: _, proxy, ...model } = spec;
  if (proxy === undefined) return model;
  const { sequence, tokens, batchTokens } = choice;
  const task: TaskSpec = {
    ...chooseTask(proxy.tasks, choice.task),
    weight: 1,
    ...(sequence === undefined ? {} : { sequence }),
    ...(tokens === undefined ? {} : { tokens }),
    ...(batchTokens === undefined ? {} : { batchTokens }),
  };
  return { ...model, proxy: { ...proxy, seeds: 1, tasks: [task] } };
}

function chooseTask(tasks: readonly TaskSpec[], name: string | undefined): TaskSpec {
  const found = name === undefined ? tasks[0] : tasks.find((task) => task.task === name);
  if (found !== undefined) return found;
  const names = tasks.map((task) => task.task);
  const near = similarName("task", name ?? "", names);
  throw new LayermixError(
    {
      code: "LMX4018",
      severity: "error",
      message: `Expected --task to be a task of the study, got ${name}`,
      help: [near ?? `tasks of this study: ${names.join(", ")}`],
    },
    exitCodes.usage,
  );
}
