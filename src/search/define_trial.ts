// One trial as it will run: a proxy plan, a task and a seed, with every fraction of the run resolved to steps.

import { toNativeModel } from "../plan/native_model.js";
import type { Plan } from "../plan/plan_types.js";
import type { OptimizerSpec, ProxySpec, TaskSpec } from "../spec/spec.js";
import { type TrialDefinition, type TrialOptimizer, trialFormat } from "../study/trial.js";
import { taskSequence } from "../task/create_task.js";
import type { Task } from "../task/task.js";
import { rungSteps } from "./rungs.js";

/** What a device computes in, and tokens per forward pass: enough for efficient matrix products, few enough for its memory. */
const numerics = {
  cpu: { precision: "fp32", microBatchTokens: 8_192 },
  cuda: { precision: "bf16", microBatchTokens: 65_536 },
} as const;

/** What a task's run consumes. */
export interface TaskBudget {
  /** Tokens per sequence. */
  readonly sequence: number;
  /** Sequences per step. */
  readonly batch: number;
  /** The budget in tokens, rounded up to whole steps. */
  readonly steps: number;
  /** Held-out evaluation every this many steps. */
  readonly evaluateEverySteps: number;
  /** The step at which each rung ends; the last is the last step. */
  readonly rungs: readonly number[];
}

/**
 * The budget of a task: its own overrides, else the proxy's.
 * @param shares of the full run at which candidates are compared.
 */
export function taskBudget(proxy: ProxySpec, task: TaskSpec, shares: readonly number[]): TaskBudget {
  const sequence = taskSequence(proxy, task);
  const batch = Math.max(1, Math.round((task.batchTokens ?? proxy.batchTokens) / sequence));
  const steps = Math.max(1, Math.ceil((task.tokens ?? proxy.tokens) / (batch * sequence)));
  const wished = proxy.evaluateEvery > 0 ? Math.round(proxy.evaluateEvery * steps) : steps;
  const { evaluateEverySteps, steps: rungs } = rungSteps(steps, Math.min(steps, Math.max(1, wished)), shares);
  return { sequence, batch, steps, evaluateEverySteps, rungs };
}

/** What tells the trials of one candidate on one task apart. */
export interface TrialVariant {
  readonly seed: number;
  /** Instead of the proxy's. */
  readonly learningRate?: number;
  /** Share of the full run, for pilot runs: the schedule is that of the shorter run. */
  readonly length?: number;
}

/** The trial of one proxy plan on one task, on "cpu" or "cuda:N"; `budget` is that of the full run. */
export function defineTrial(
  plan: Plan,
  task: Task,
  budget: TaskBudget,
  proxy: Pick<ProxySpec, "optimizer" | "initStd">,
  { seed, learningRate = proxy.optimizer.learningRate, length = 1 }: TrialVariant,
  device: string,
): TrialDefinition {
  const { sequence, batch } = budget;
  const steps = Math.max(1, Math.round(budget.steps * length));
  const { precision, microBatchTokens } = numerics[device.startsWith("cuda") ? "cuda" : "cpu"];
  return {
    format: trialFormat,
    model: toNativeModel(plan),
    optimizer: resolveOptimizer({ ...proxy.optimizer, learningRate }, steps),
    task: { name: task.name, identity: task.identity },
    sequence,
    batch,
    microBatch: microBatchOf(batch, sequence, microBatchTokens),
    steps,
    evaluateEverySteps: Math.min(steps, budget.evaluateEverySteps),
    seed,
    precision,
    initStd: proxy.initStd,
  };
}

/** The largest divisor of `batch` whose sequences together hold at most `tokens` tokens; at least 1. */
export function microBatchOf(batch: number, sequence: number, tokens: number): number {
  for (let size = Math.min(batch, Math.floor(tokens / sequence)); size > 1; size--) {
    if (batch % size === 0) return size;
  }
  return 1;
}

function resolveOptimizer(spec: OptimizerSpec, steps: number): TrialOptimizer {
  return {
    kind: spec.kind,
    learningRate: spec.learningRate,
    beta1: spec.betas[0],
    beta2: spec.betas[1],
    epsilon: spec.epsilon,
    weightDecay: spec.weightDecay,
    clipNorm: spec.clip,
    schedule: spec.schedule,
    totalSteps: steps,
    warmupSteps: Math.round(spec.warmup * steps),
    decaySteps: Math.round(spec.decay * steps),
    minimumLearningRate: spec.minimum * spec.learningRate,
  };
}
