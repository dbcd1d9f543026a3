// From the tasks of a study file to tasks that can run: names looked up, options checked and filled in, every problem
// reported with its path ("proxy.tasks[0].pairs") so that the file's room can point at it.

import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { similarName } from "../diag/suggest.js";
import type { ProxySpec, TaskSpec } from "../spec/spec.js";
import { resolveTaskOptions } from "./options.js";
import { taskByName, taskKinds } from "./registry.js";
import type { Task, TaskIssue, TaskKind, TaskOptions } from "./task.js";

interface ResolvedTask {
  readonly kind: TaskKind;
  readonly options: TaskOptions;
  readonly sequence: number;
}

/** Tokens per row of a task: its own override, or the proxy's. */
export function taskSequence(proxy: Pick<ProxySpec, "sequence">, spec: TaskSpec): number {
  return spec.sequence ?? proxy.sequence;
}

/** Every problem with the tasks of a proxy: unknown names (LMX7001), wrong options (LMX7002), lengths (LMX7003). */
export function checkTasks(proxy: Pick<ProxySpec, "sequence" | "tasks">): readonly Diagnostic[] {
  return proxy.tasks.flatMap((spec, index) => resolveTask(proxy, spec, `proxy.tasks[${index}]`).problems);
}

/**
 * Vocabulary a task needs, as far as it is known without reading any file.
 * @throws LayermixError (exit 3) when the task is unknown or its options are wrong.
 */
export function taskVocab(proxy: Pick<ProxySpec, "sequence">, spec: TaskSpec): number | undefined {
  const { kind, options } = orThrow(resolveTask(proxy, spec, `task ${spec.task}`));
  return kind.vocab(options);
}

/**
 * Makes a task ready for one seed.
 * @param seed of the training data, a safe integer >= 0: equal seeds give equal data to every candidate.
 * @param folder that relative corpus files start from.
 * @throws LayermixError (exit 3) when the task is unknown, its options are wrong or its corpus cannot be read.
 */
export async function createTask(
  proxy: Pick<ProxySpec, "sequence">,
  spec: TaskSpec,
  seed: number,
  folder: string,
): Promise<Task> {
  const { kind, options, sequence } = orThrow(resolveTask(proxy, spec, `task ${spec.task}`));
  return kind.create(options, { sequence, seed, folder });
}

function resolveTask(
  proxy: Pick<ProxySpec, "sequence">,
  spec: TaskSpec,
  path: string,
): { readonly resolved?: ResolvedTask; readonly problems: readonly Diagnostic[] } {
  const kind = taskByName(spec.task);
  if (kind === undefined) {
    const names = taskKinds.map((known) => known.name);
    const near = similarName("task", spec.task, names);
    return {
      problems: [
        problem("LMX7001", `${path}.task`, `Expected a known task at ${path}.task, got ${spec.task}`, [
          ...(near === undefined ? [] : [near]),
          `known tasks: ${names.join(", ")}`,
        ]),
      ],
    };
  }
  const sequence = taskSequence(proxy, spec);
  const { options, issues } = resolveTaskOptions(kind.options, spec.options);
  const toProblem = (code: DiagnosticCode) => (issue: TaskIssue) =>
    problem(code, issue.option === "" ? path : `${path}.${issue.option}`, issue.message, issue.help);
  if (issues.length > 0) return { problems: issues.map(toProblem("LMX7002")) };
  const misfits = kind.check(options, sequence);
  return { resolved: { kind, options, sequence }, problems: misfits.map(toProblem("LMX7003")) };
}

function orThrow(result: ReturnType<typeof resolveTask>): ResolvedTask {
  if (result.resolved === undefined || result.problems.length > 0) {
    throw new LayermixError(result.problems, exitCodes.invalidFile);
  }
  return result.resolved;
}

function problem(code: DiagnosticCode, path: string, message: string, help: readonly string[]): Diagnostic {
  return { code, severity: "error", message, help, path };
}
