// Spec -> the trials that answer it: candidates (selected by the strategy) x tasks x seeds, each defined to the last
// number. Reads the corpora of text tasks (their content is part of a trial's identity); writes nothing.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { planCandidates, proxyPlan } from "../estimate/candidates.js";
import { countFlops } from "../estimate/flops.js";
import { countParameters } from "../estimate/parameters.js";
import type { Candidate, DroppedCandidate, Plan } from "../plan/plan_types.js";
import type { ProxySpec, Spec, TaskSpec } from "../spec/spec.js";
import { studyFormat } from "../study/json_file.js";
import type { StudyCandidate, StudyDocument, StudyTask, StudyTrial } from "../study/study_document.js";
import { type TrialFile, trialId } from "../study/trial.js";
import { createTask } from "../task/create_task.js";
import type { Task } from "../task/task.js";
import { defineTrial, type TaskBudget, taskBudget } from "./define_trial.js";
import { selectCandidates } from "./strategy.js";

export interface PrepareOptions {
  /** The first seed; the study's seeds count up from it. Also draws the sample of `strategy: random`. */
  readonly seed: number;
  readonly device: string;
  /** Version of layermix. */
  readonly version: string;
}

export interface PreparedStudy {
  readonly document: StudyDocument;
  /** Every distinct trial, in the order they run. */
  readonly trials: readonly TrialFile[];
}

/**
 * Works out the trials of a study.
 * Throws LMX4011 (strategy), LMX4012 (no proxy), LMX4016 (vocab), LMX2xxx (cannot be planned), LMX7xxx (tasks).
 */
export async function prepareStudy(spec: Spec, options: PrepareOptions): Promise<PreparedStudy> {
  const { proxy } = spec;
  if (proxy === undefined) throw withoutProxy(spec);
  const { candidates, dropped } = chooseCandidates(spec, options.seed);
  const tasks = await Promise.all(proxy.tasks.map((task) => readyTask(spec, proxy, task, options.seed)));
  const proxies = candidates.map((candidate) => tasks.map((task) => taskProxy(spec, candidate, task)));
  const seeds = Array.from({ length: proxy.seeds }, (_, index) => options.seed + index);
  const files = new Map<string, TrialFile>();
  const trials: StudyTrial[] = [];
  for (const seed of seeds) {
    for (const [candidate, plans] of proxies.entries()) {
      for (const [task, ready] of tasks.entries()) {
        const definition = defineTrial(plans[task]!, ready.task, ready.budget, proxy, seed, options.device);
        const id = trialId(definition);
        files.set(id, { id, definition, source: { options: ready.spec.options, folder: spec.folder } });
        trials.push({ id, candidate, task, seed });
      }
    }
  }
  const document: StudyDocument = {
    format: studyFormat,
    name: spec.name,
    layermix: options.version,
    device: options.device,
    spec,
    candidates: candidates.map((candidate, index) => describeCandidate(candidate, proxies[index]!, tasks)),
    dropped: dropped.map(({ name, reason }) => ({ name, reason })),
    tasks: tasks.map(describeTask),
    seeds,
    trials,
  };
  return { document, trials: [...files.values()] };
}

function chooseCandidates(
  spec: Spec,
  seed: number,
): { readonly candidates: readonly Candidate[]; readonly dropped: readonly DroppedCandidate[] } {
  const { candidates, dropped } = planCandidates(spec);
  return {
    candidates: selectCandidates(candidates, spec.sweep?.strategy ?? { kind: "grid" }, seed),
    dropped,
  };
}

interface ReadyTask {
  readonly spec: TaskSpec;
  readonly task: Task;
  readonly budget: TaskBudget;
  /** Of the proxy models trained on it. */
  readonly vocab: number;
}

async function readyTask(spec: Spec, proxy: ProxySpec, taskSpec: TaskSpec, seed: number): Promise<ReadyTask> {
  const task = await createTask(proxy, taskSpec, seed, spec.folder);
  const vocab = (proxy.model.vocab as number | undefined) ?? task.vocab;
  if (vocab >= task.vocab) return { spec: taskSpec, task, budget: taskBudget(proxy, taskSpec), vocab };
  throw new LayermixError(
    {
      code: "LMX4016",
      severity: "error",
      message: `Expected proxy.model.vocab of at least ${task.vocab} for the task ${taskSpec.task}, got ${vocab}`,
      help: ["Leave proxy.model.vocab out: each task then gets the vocabulary it needs."],
      path: "proxy.model.vocab",
    },
    exitCodes.invalidFile,
  );
}

/** The proxy of a candidate with the task's vocabulary, which sizes are matched with. */
function taskProxy(spec: Spec, candidate: Candidate, { vocab }: ReadyTask): Plan {
  const proxy = spec.proxy!;
  return proxyPlan({ ...spec, proxy: { ...proxy, model: { ...proxy.model, vocab } } }, candidate);
}

function describeCandidate(
  { name, values, plan }: Candidate,
  proxies: readonly Plan[],
  tasks: readonly ReadyTask[],
): StudyCandidate {
  const sequence = Math.max(...tasks.map(({ budget }) => budget.sequence));
  // Proxies of one candidate differ between tasks in their vocabulary at most; the largest stands for all.
  const proxy = proxies.reduce((a, b) => (b.vocab > a.vocab ? b : a));
  return {
    name,
    values,
    pattern: plan.pattern,
    counts: plan.counts,
    params: countParameters(plan),
    flopsPerToken: flopsPerToken(plan, sequence),
    proxy: {
      pattern: proxy.pattern,
      params: countParameters(proxy).total,
      flopsPerToken: flopsPerToken(proxy, sequence),
    },
  };
}

function flopsPerToken(plan: Plan, sequence: number): number {
  return countFlops(plan, { sequence, batch: 1 }).trainPerToken;
}

function describeTask({ spec, task, budget }: ReadyTask): StudyTask {
  const { sequence, batch, steps } = budget;
  return {
    task: spec.task,
    weight: spec.weight,
    primary: task.primary,
    sequence,
    batchTokens: batch * sequence,
    tokens: steps * batch * sequence,
    description: task.describe(),
  };
}

function withoutProxy(spec: Spec): LayermixError {
  return new LayermixError(
    {
      code: "LMX4012",
      severity: "error",
      message: `Expected a proxy section in ${spec.file}, got none: there is nothing to train`,
      help: ["Add one; layermix explain LMX4012 shows its shape."],
      path: "proxy",
    },
    exitCodes.invalidFile,
  );
}
