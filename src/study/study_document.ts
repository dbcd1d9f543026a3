// study.json: a study resolved - which candidates, tasks and seeds, and which trial each of them is. `status`, `rank`
// and `report` need nothing but this and the trials' folders. It holds no clock and no host, so every process that
// prepares the same study writes the same bytes.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { ParameterCount } from "../estimate/cost.js";
import type { BudgetSpec, Spec } from "../spec/spec.js";
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
  /** The costs that rank.objectives names, of the model; lower is better. */
  readonly costs: Readonly<Record<string, number>>;
  /** Where an evolved candidate comes from: "swap of g0.1". */
  readonly origin?: string;
  /** By task, where learning rates are swept: the rate the trials use, once its pilot runs have ended. */
  readonly learningRates?: readonly LearningRateChoice[];
  /** Exact forward + backward FLOPs of the model, per token, at the proxy's sequence length. */
  readonly flopsPerToken: number;
  /** By task: training FLOPs of the proxy per token, at the task's own sequence length. */
  readonly taskFlopsPerToken: readonly number[];
  readonly proxy: {
    readonly pattern: string;
    readonly params: number;
    /** Training FLOPs per token of the proxy, at the longest sequence of the tasks. */
    readonly flopsPerToken: number;
  };
}

/** How the learning rate of one candidate on one task was found. */
export interface LearningRateChoice {
  /** Index into `tasks`. */
  readonly task: number;
  /** Absent while pilot runs are missing. */
  readonly chosen?: number;
  readonly tried: readonly {
    readonly learningRate: number;
    /** Mean held-out loss of its pilot runs; absent while one is missing, null when one diverged or failed. */
    readonly loss?: number | null;
  }[];
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
  /** The step at which each rung of the search ends; the last is the last step. */
  readonly rungs: readonly number[];
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
  /** The step it is to reach, where that is not its end. */
  readonly until?: number;
  /** The search has decided that it goes no further than `until`. */
  readonly pruned?: true;
}

/** A pilot run: what a learning rate is chosen by. Not ranked. */
export interface StudyPilot extends Omit<StudyTrial, "until" | "pruned"> {
  readonly learningRate: number;
}

/** What the search has decided so far. */
export interface StudySearch {
  readonly strategy: string;
  /** Shares of a full run at which candidates are compared, ascending; [1] where there is one length only. */
  readonly rungs: readonly number[];
  /** One sentence per decision. */
  readonly decisions: readonly string[];
  /** Nothing is left to decide, or the budget allows nothing more. */
  readonly over: boolean;
  readonly budget?: {
    readonly unit: BudgetSpec["unit"];
    readonly limit: number;
    /** What the trials so far take in all, finished or not; null for hours, which only the clock knows. */
    readonly asked: number | null;
    /** Something was left out for want of budget. */
    readonly exhausted: boolean;
  };
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
  readonly pilots?: readonly StudyPilot[];
  readonly search: StudySearch;
}

/** The study in a folder. Throws LMX4004 when the folder holds none, LMX4005, LMX4006. */
export function readStudy(folder: string): StudyDocument {
  const path = studyLayout.document(folder);
  const document = readJson<StudyDocument>(path);
  if (document?.candidates.every(({ taskFlopsPerToken }) => taskFlopsPerToken !== undefined)) return document;
  if (document !== undefined) {
    throw new LayermixError(
      {
        code: "LMX4005",
        severity: "error",
        message: `Expected ${path} with the FLOPs of every task, got one of an earlier layermix`,
        help: [
          "Run the sweep again with the same file and --out: it keeps the trials and renews study.json.",
        ],
      },
      exitCodes.storage,
    );
  }
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

/** The trials to run, each once, in order: pilot runs first. */
export function distinctTrials({ trials, pilots = [] }: Pick<StudyDocument, "trials" | "pilots">): string[] {
  return [...new Set([...pilots, ...trials].map(({ id }) => id))];
}
