// How a trial ended: result.json (done or diverged), or failure.json. Both hold nothing that depends on when, where or
// in how many pieces the trial ran; the clock's part is in timing.json.

import type { Metrics } from "../task/task.js";
import { writeFileOnce } from "./atomic_file.js";
import { jsonText, readJson, type studyFormat, writeJson } from "./json_file.js";
import type { MetricsMark } from "./metrics_log.js";
import { trialLayout } from "./study_layout.js";

export interface TrialEvaluation {
  readonly step: number;
  readonly metrics: Metrics;
}

/** trials/ID/result.json, published once by the owner. */
export interface TrialResult {
  readonly format: typeof studyFormat;
  readonly id: string;
  /** "diverged": a loss or gradient norm was not a finite number; the trial stopped there. */
  readonly status: "done" | "diverged";
  /** Steps taken. */
  readonly steps: number;
  readonly tokens: number;
  /** Sequences per forward pass, where memory did not suffice for those of the trial's definition. */
  readonly microBatch?: number;
  /** Held-out figures after the last step; absent when diverged. */
  readonly metrics?: Metrics;
  /** Every held-out evaluation, the last one included. */
  readonly evaluations: readonly TrialEvaluation[];
  /** metrics.jsonl as it was then, so that a curve is not believed that has changed since; absent in recordings without curves. */
  readonly log?: MetricsMark;
}

/**
 * oom: for want of memory, on the device or on the host; killed: from outside, again and again; crash: the worker died of
 * itself; error: the library or the task refused.
 */
export type FailureCause = "oom" | "killed" | "crash" | "error";

/** trials/ID/failure.json: the trial cannot be run; others go on. */
export interface TrialFailure {
  readonly format: typeof studyFormat;
  readonly id: string;
  /** LMX code of the reason. */
  readonly code: string;
  /** What kind of end it was; absent in folders of version 0.1, where it counts as "error". */
  readonly cause?: FailureCause;
  readonly message: string;
  /** Last lines the worker wrote to its log before it died; empty when it reported the failure itself. */
  readonly stderr: readonly string[];
}

/** trials/ID/crash-N.json: the worker died of itself while it ran this trial. Written by the process that saw it. */
export interface TrialCrash {
  readonly format: typeof studyFormat;
  /** "SIGSEGV", "exit code 134", "out of memory (killed by the kernel)". */
  readonly reason: string;
  readonly stderr: readonly string[];
}

/** trials/ID/timing.json: what the clock said, summed over all attempts that kept their work. */
export interface TrialTiming {
  readonly format: typeof studyFormat;
  readonly steps: number;
  readonly trainSeconds: number;
  readonly evaluationSeconds: number;
  /** Of trainSeconds, those a GPU worked on steps, by its own clock; absent on the CPU and in older folders. */
  readonly deviceSeconds?: number;
  /** Training tokens per second of trainSeconds; 0 before the first step. */
  readonly tokensPerSecond: number;
  readonly threads: number;
  readonly device: string;
  readonly host: string;
  /** lmx_build_info: compiler, vector width, BLAS. */
  readonly build: string;
}

export type TrialOutcome = TrialResult | TrialFailure;

export function isFailure(outcome: TrialOutcome): outcome is TrialFailure {
  return "code" in outcome;
}

/** The end of a trial, or undefined while it has none. A result outweighs a failure. */
export function readOutcome(trialFolder: string): TrialOutcome | undefined {
  return (
    readJson<TrialResult>(trialLayout.result(trialFolder)) ??
    readJson<TrialFailure>(trialLayout.failure(trialFolder))
  );
}

/** The first result stands: an owner that was only thought dead, and comes late, has nothing to add. */
export function publishResult(trialFolder: string, result: TrialResult): void {
  writeFileOnce(trialLayout.result(trialFolder), jsonText(result));
}

export function publishFailure(trialFolder: string, failure: TrialFailure): void {
  writeJson(trialLayout.failure(trialFolder), failure);
}

export function readTiming(trialFolder: string): TrialTiming | undefined {
  return readJson<TrialTiming>(trialLayout.timing(trialFolder));
}

export function writeTiming(trialFolder: string, timing: TrialTiming): void {
  writeJson(trialLayout.timing(trialFolder), timing);
}
