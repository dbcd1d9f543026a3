// A trial: one candidate, one task, one seed - written as what will actually run. Its id is the hash of that and of
// nothing else: names, weights and the study file may change, and a trial whose computation is unchanged keeps its id,
// its folder and its result. Anything that could change a bit of the loss curve must therefore be a field here.

import type { NativeModel } from "../plan/native_model.js";
import { canonicalHash } from "./canonical_json.js";

/** Raised when the meaning of a field, or the arithmetic behind it, changes: every trial is then a new one. */
export const trialFormat = 1;

/** Optimizer with every fraction of the run resolved to steps. */
export interface TrialOptimizer {
  readonly kind: "adamw";
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Global gradient norm limit; 0 = off. */
  readonly clipNorm: number;
  readonly schedule: "constant" | "cosine" | "wsd";
  readonly totalSteps: number;
  readonly warmupSteps: number;
  /** WSD: steps of the final decay. */
  readonly decaySteps: number;
  readonly minimumLearningRate: number;
}

export interface TrialDefinition {
  readonly format: typeof trialFormat;
  /** The shape that is trained: the proxy of the model it stands for. */
  readonly model: NativeModel;
  readonly optimizer: TrialOptimizer;
  /** `identity` is the task's own: its options, and for text the content hash of every file. */
  readonly task: { readonly name: string; readonly identity: unknown };
  /** Tokens per sequence. */
  readonly sequence: number;
  /** Sequences per step, and per forward pass (gradients add up over the passes, in order). */
  readonly batch: number;
  readonly microBatch: number;
  readonly steps: number;
  /** Held-out evaluation every this many steps, and after the last one. */
  readonly evaluateEverySteps: number;
  /** Seeds the initial weights and the training data. */
  readonly seed: number;
  readonly precision: "fp32" | "fp64" | "bf16";
  /** Standard deviation of the initial weight matrices. */
  readonly initStd: number;
}

/** How a worker gets the task of a trial; not part of the identity, which holds the content instead of the place. */
export interface TaskSource {
  readonly options: Readonly<Record<string, unknown>>;
  /** Folder that relative file names start from. */
  readonly folder: string;
}

/** trials/ID/trial.json: everything a worker needs. */
export interface TrialFile {
  readonly id: string;
  readonly definition: TrialDefinition;
  readonly source: TaskSource;
}

/** The id of a trial: 16 hex digits of the SHA-256 of its canonical JSON. */
export function trialId(definition: TrialDefinition): string {
  return canonicalHash(definition).slice(0, 16);
}

/** A trial, and the step it is to reach for now: its end, or a rung where it pauses. */
export interface TrialJob {
  readonly id: string;
  readonly until: number;
}

/** Tokens a trial is trained on. */
export function trialTokens(definition: TrialDefinition): number {
  return definition.steps * definition.batch * definition.sequence;
}
