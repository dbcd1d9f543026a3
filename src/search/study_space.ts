// Everything about a study that no result can change: its tasks made ready, the candidates it begins with, and how any
// candidate - also one that a search makes later - becomes a proxy and its trials. Reads the corpora of text tasks (their
// content is part of a trial's identity); writes nothing.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { planCandidates, proxyPlan } from "../estimate/candidates.js";
import { decodeBytesPerToken } from "../estimate/decode_bytes.js";
import { countFlops } from "../estimate/flops.js";
import { metricOf } from "../estimate/metrics.js";
import { countParameters } from "../estimate/parameters.js";
import { type PlannedPoint, sweepPlanner } from "../plan/expand_sweep.js";
import type { Candidate, DroppedCandidate, Plan } from "../plan/plan_types.js";
import type { Hardware } from "../project/hardware.js";
import { loadHardware } from "../project/load_hardware.js";
import { project } from "../project/project.js";
import { defaults } from "../spec/defaults.js";
import type { ProxySpec, Spec, StrategySpec, TaskSpec } from "../spec/spec.js";
import type { StudyCandidate } from "../study/study_document.js";
import { type TrialDefinition, type TrialFile, trialId } from "../study/trial.js";
import { createTask } from "../task/create_task.js";
import type { Task } from "../task/task.js";
import type { Birth } from "./decision.js";
import { defineTrial, type TaskBudget, type TrialVariant, taskBudget } from "./define_trial.js";
import { rungShares } from "./rungs.js";
import { selectCandidates } from "./select_candidates.js";

export interface PrepareOptions {
  /** The first seed; the study's seeds count up from it. Also seeds whatever a strategy draws. */
  readonly seed: number;
  readonly device: string;
  /** Version of layermix. */
  readonly version: string;
  /** Seconds of a training step on the device, for `match: { step_time }`; always the same for the same trial. */
  readonly stepSeconds?: (definition: TrialDefinition) => number;
}

/** A candidate with what is trained in its place. */
export interface SpaceCandidate {
  readonly described: StudyCandidate;
  /** One of its trials; equal arguments give the same object. */
  trial(task: number, variant: TrialVariant): TrialFile;
}

export interface ReadyTask {
  readonly spec: TaskSpec;
  readonly task: Task;
  readonly budget: TaskBudget;
  /** Of the proxy models trained on it. */
  readonly vocab: number;
}

export interface StudySpace {
  readonly spec: Spec & { readonly proxy: ProxySpec };
  readonly options: PrepareOptions;
  readonly strategy: StrategySpec;
  readonly rungShares: readonly number[];
  readonly tasks: readonly ReadyTask[];
  readonly initial: readonly SpaceCandidate[];
  readonly dropped: readonly DroppedCandidate[];
  /** A candidate that a search has made. Throws LMX2xxx when it cannot be planned. */
  born(birth: Birth): SpaceCandidate;
  /** Whether a point can be planned, is new, and meets `match` and `where`. */
  accepts(values: Birth["values"]): boolean;
}

/**
 * Makes a study ready.
 * Throws LMX4012 (no proxy), LMX4016 (vocab), LMX2xxx (cannot be planned), LMX7xxx (tasks).
 */
export async function prepareSpace(spec: Spec, options: PrepareOptions): Promise<StudySpace> {
  const { proxy } = spec;
  if (proxy === undefined) throw withoutProxy(spec);
  const strategy = spec.sweep?.strategy ?? { kind: "grid" };
  const shares = rungShares(strategy);
  const { candidates, dropped } = planCandidates(spec, undefined, options.seed);
  const tasks = await Promise.all(
    proxy.tasks.map((task) => readyTask(spec, proxy, task, options.seed, shares)),
  );
  const hardware = spec.rank.objectives.includes("decode_seconds")
    ? await loadHardware((spec.project ?? defaults.project).hardware, spec.folder)
    : undefined;
  const ready = (candidate: Candidate, origin?: string): SpaceCandidate =>
    readyCandidate({ ...spec, proxy }, options, tasks, hardware, candidate, origin);
  const planPoint = memoised(
    (name: string, values: Birth["values"]): PlannedPoint => planner()({ name, values }),
  );
  const bornCandidates = new Map<string, SpaceCandidate>();
  let lazyPlanner: ReturnType<typeof sweepPlanner> | undefined;
  return {
    spec: { ...spec, proxy },
    options,
    strategy,
    rungShares: shares,
    tasks,
    initial: selectCandidates(candidates, strategy, options.seed).map((candidate) => ready(candidate)),
    dropped,
    accepts: (values) => "plan" in planPoint(String(values.pattern), values),
    born(birth) {
      const known = bornCandidates.get(birth.name);
      if (known !== undefined) return known;
      const planned = planPoint(String(birth.values.pattern), birth.values);
      if (!("plan" in planned))
        throw new RangeError(`Expected ${birth.name} to be plannable, got: ${planned.reason}`);
      const plan = { ...planned.plan, name: birth.name };
      const made = ready({ name: birth.name, values: birth.values, plan }, birth.origin);
      bornCandidates.set(birth.name, made);
      return made;
    },
  };

  /** Knows the layouts it has planned: the candidates of the study first, so that none of them is born again. */
  function planner(): ReturnType<typeof sweepPlanner> {
    if (lazyPlanner !== undefined) return lazyPlanner;
    lazyPlanner = sweepPlanner(spec, (plan, metric) => metricOf(plan, metric));
    for (const { name, values } of candidates) lazyPlanner({ name, values });
    return lazyPlanner;
  }
}

function memoised<A, T>(make: (key: string, argument: A) => T): (key: string, argument: A) => T {
  const made = new Map<string, T>();
  return (key, argument) => {
    if (!made.has(key)) made.set(key, make(key, argument));
    return made.get(key)!;
  };
}

async function readyTask(
  spec: Spec,
  proxy: ProxySpec,
  taskSpec: TaskSpec,
  seed: number,
  shares: readonly number[],
): Promise<ReadyTask> {
  const task = await createTask(proxy, taskSpec, seed, spec.folder);
  const vocab = (proxy.model.vocab as number | undefined) ?? task.vocab;
  if (vocab >= task.vocab)
    return { spec: taskSpec, task, budget: taskBudget(proxy, taskSpec, shares), vocab };
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

function readyCandidate(
  spec: Spec & { readonly proxy: ProxySpec },
  options: PrepareOptions,
  tasks: readonly ReadyTask[],
  hardware: Hardware | undefined,
  candidate: Candidate,
  origin: string | undefined,
): SpaceCandidate {
  const { proxy } = spec;
  // The task's vocabulary is part of what is trained, so sizes are matched with it.
  const plans = tasks.map(({ task, vocab, budget }) => {
    const sized = { ...spec, proxy: { ...proxy, model: { ...proxy.model, vocab } } };
    const { seed, device, stepSeconds } = options;
    if (stepSeconds === undefined) return proxyPlan(sized, candidate);
    return proxyPlan(sized, candidate, (plan) =>
      stepSeconds(defineTrial(plan, task, budget, proxy, { seed }, device)),
    );
  });
  const trial = memoised((_: string, [task, variant]: readonly [number, TrialVariant]): TrialFile => {
    const { task: made, budget, spec: taskSpec } = tasks[task]!;
    const definition = defineTrial(plans[task]!, made, budget, proxy, variant, options.device);
    return {
      id: trialId(definition),
      definition,
      source: { options: taskSpec.options, folder: spec.folder },
    };
  });
  return {
    described: describeCandidate(spec, candidate, plans, tasks, hardware, origin),
    trial: (task, variant) =>
      trial(`${task} ${variant.seed} ${variant.learningRate ?? ""} ${variant.length ?? 1}`, [task, variant]),
  };
}

function describeCandidate(
  spec: Spec,
  { name, values, plan }: Candidate,
  proxies: readonly Plan[],
  tasks: readonly ReadyTask[],
  hardware: Hardware | undefined,
  origin: string | undefined,
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
    taskFlopsPerToken: proxies.map((own, task) => flopsPerToken(own, tasks[task]!.budget.sequence)),
    costs: Object.fromEntries(
      spec.rank.objectives.map((objective) => [objective, costOf(spec, plan, objective, hardware)]),
    ),
    proxy: {
      pattern: proxy.pattern,
      params: countParameters(proxy).total,
      flopsPerToken: flopsPerToken(proxy, sequence),
    },
    ...(origin === undefined ? {} : { origin }),
  };
}

/** A cost by its name in rank.objectives, of the model and not of its proxy. */
function costOf(spec: Spec, plan: Plan, objective: string, hardware: Hardware | undefined): number {
  const { contexts, batch } = spec.project ?? defaults.project;
  const context = Math.max(...contexts);
  if (objective === "decode_bytes") return decodeBytesPerToken(plan, context, batch);
  if (objective !== "decode_seconds") return metricOf(plan, objective);
  return project(plan, { hardware: hardware!, contexts: [context], batch }).points[0]!.decodeTokenSeconds;
}

function flopsPerToken(plan: Plan, sequence: number): number {
  return countFlops(plan, { sequence, batch: 1 }).trainPerToken;
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
