// What the pool and a worker tell each other over the channel between them. Nothing here is needed for correctness:
// claims, metrics and results are files, and a message that is lost with its process loses only a line of progress.

import type { Diagnostic, ExitCode } from "../diag/diagnostic.js";
import type { TrialJob } from "../study/trial.js";

/** First message to a worker: where it works, and how. */
export interface WorkerOrder {
  readonly kind: "order";
  readonly studyFolder: string;
  readonly device: string;
  /** Of each trial. */
  readonly threads: number;
  /** Trials to run at the same time. */
  readonly trialsAtOnce: number;
  /** Seconds of work that a crash may lose. */
  readonly checkpointSeconds: number;
  /** Keep the checkpoint of a finished trial, at its last step. */
  readonly keepCheckpoints: boolean;
}

/** What there is to do, in the order it should be taken. Every message replaces the one before. */
export interface WorkerJobs {
  readonly kind: "jobs";
  readonly jobs: readonly TrialJob[];
}

/** Finish the step, save, give the trial back, exit. */
export interface WorkerStop {
  readonly kind: "stop";
}

export type ToWorker = WorkerOrder | WorkerJobs | WorkerStop;

/**
 * How a worker's part in a trial ended: "paused" at the step it was to reach, "released" given back before that, "lost"
 * taken over by somebody else.
 */
export type TrialEnd = "done" | "diverged" | "failed" | "paused" | "released" | "lost";

export type FromWorker =
  /** The native library is loaded. */
  | { readonly kind: "ready"; readonly build: string }
  /** It could run one more trial, found none that it could take, and waits for other jobs. */
  | { readonly kind: "idle" }
  /** It has taken a trial, and makes ready to train it: it may have to wait for memory. */
  | { readonly kind: "preparing"; readonly id: string }
  /** It trains the trial from this step on. */
  | { readonly kind: "claimed"; readonly id: string; readonly step: number }
  | {
      readonly kind: "progress";
      readonly id: string;
      readonly step: number;
      readonly loss: number | null;
      readonly tokensPerSecond: number;
    }
  | { readonly kind: "ended"; readonly id: string; readonly how: TrialEnd }
  /** Nothing can go on: no native library, the disk is full. The worker exits with this code. */
  | { readonly kind: "fatal"; readonly diagnostics: readonly Diagnostic[]; readonly exitCode: ExitCode };
