// study.json: a study resolved - which candidates, tasks and seeds, and which trial each of them is. `status`, `rank`
// and `report` need nothing but this and the trials' folders. It holds no clock and no host, so every process that
// prepares the same study writes the same bytes.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { ParameterCount } from "../estimate/cost.js";
import type { Spec } from "../spec/spec.js";
import type { PrimaryMetric } from "../task/task.js";
import { readJson, type studyFormat } from "./json_file.js";
import { studyLayout } from "./study_layout.js";

/** A point of the sweep: the model it stands for, and the proxy that is trained in its place. */
export interface StudyCandidate {
  readonly name: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly pattern: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly params: ParameterCount;
  /** Exact forward + backward FLOPs of the model, per token, at the proxy's sequence length. */
  readonly flopsPerToken: number;
  readonly proxy: {
    readonly pattern: string;
    readonly params: number;
    /** Training FLOPs per token of the proxy. */
    readonly flopsPerToken: number;
  };
}

export interface StudyTask {
  /** The task's name; two tasks of a study may share it. */
  readonly task: string;
  readonly weight: number;
  readonly primary: PrimaryMetric;
  readonly sequence: number;
  /** Tokens of one step and of the whole run. */
  readonly batchTokens: number;
  readonly tokens: number;
  /** What it trains on, one line each. */
  readonly description: readonly string[];
}

/** One trial by its place in the study; two places can hold the same trial. */
export interface StudyTrial {
  readonly id: string;
  /** Index into `candidates`. */
  readonly candidate: number;
  /** Index into `tasks`. */
  readonly task: number;
  readonly seed: number;
}

export interface StudyDocument {
  readonly format: typeof studyFormat;
  readonly name: string;
  /** Version of layermix that prepared it. */
  readonly layermix: string;
  readonly device: string;
  readonly spec: Spec;
  readonly candidates: readonly StudyCandidate[];
  readonly dropped: readonly { readonly name: string; readonly reason: string }[];
  readonly tasks: readonly StudyTask[];
  readonly seeds: readonly number[];
  /** In the order they run: all candidates and tasks of the first seed, then of the second, and so on. */
  readonly trials: readonly StudyTrial[];
}

/** The study in a folder. Throws LMX4004 when the folder holds none, LMX4005, LMX4006. */
export function readStudy(folder: string): StudyDocument {
  const document = readJson<StudyDocument>(studyLayout.document(folder));
  if (document !== undefined) return document;
  throw new LayermixError(
    {
      code: "LMX4004",
      severity: "error",
      message: `Expected a study folder at ${folder}, got a folder without study.json, or none`,
      help: ["Name the folder that layermix sweep wrote: the value of --out, or layermix-studies/NAME."],
    },
    exitCodes.storage,
  );
}

/** The trials to run, each once, in order. */
export function distinctTrials(document: Pick<StudyDocument, "trials">): string[] {
  return [...new Set(document.trials.map((trial) => trial.id))];
}
