// What a proxy run is trained and judged on. A TaskKind is a recipe with options; a Task is one recipe made ready for a
// sequence length and a seed. Batches are pure functions of (options, seed, step): a task holds no position, so the
// data cursor of a resumed run is its step number, and every candidate of one seed sees the same data in the same order.
// Held-out data depend on the options alone: the same for every candidate and every seed.

import type { TaskOption } from "./options.js";

/** `rows` sequences, row after row. */
export interface Batch {
  readonly rows: number;
  /** (rows * sequence) token ids below the task's vocab. */
  readonly tokens: Int32Array;
  /** (rows * sequence): what should be predicted after tokens[t]; -1 where nothing is asked. */
  readonly targets: Int32Array;
}

/** A held-out batch with what the model made of it; 0 where the target is -1. */
export interface EvaluatedBatch {
  readonly batch: Batch;
  /** (rows * sequence) cross-entropy in nats. */
  readonly loss: Float32Array;
  /** (rows * sequence) 1 where the most probable token is the target. */
  readonly correct: Uint8Array;
}

export type MetricName = "accuracy" | "bitsPerByte" | "loss";

/** Held-out figures of one trial. Which of them the ranking uses is the task's `primary`. */
export interface Metrics {
  /** Mean cross-entropy over what was asked, nats per token. */
  readonly loss: number;
  /** Share of answers that are right, [0, 1]; an answer is what the task says (one value, a whole number). */
  readonly accuracy?: number;
  readonly bitsPerByte?: number;
  /** Accuracy by the number of entries in the phone book. */
  readonly byEntries?: Readonly<Record<string, number>>;
}

/** The figure a task is judged by. */
export interface PrimaryMetric {
  readonly name: MetricName;
  readonly direction: "higher" | "lower";
  /** Column heading: "accuracy", "bits/byte". */
  readonly title: string;
}

/** A task ready to run. */
export interface Task {
  readonly name: string;
  readonly vocab: number;
  /** Tokens per row. */
  readonly sequence: number;
  readonly primary: PrimaryMetric;
  /** JSON that enters the trial's identity: every option, and for text the content hash of every file. */
  readonly identity: unknown;
  /** What the reader of a sweep should know, one line each: files and bytes used, sizes. */
  describe(): readonly string[];
  /** Training batch of one step (counted from 0). The arrays belong to the caller. */
  trainBatch(step: number, rows: number): Batch;
  /** Held-out rows in all. */
  readonly evaluationRows: number;
  /** How many batches of at most `rows` rows the held-out data make. */
  evaluationBatches(rows: number): number;
  /** Held-out batch `index`; the last one may have fewer rows. Metrics do not depend on `rows`. */
  evaluationBatch(index: number, rows: number): Batch;
  /** Figures over all held-out batches, in order. */
  measure(evaluated: Iterable<EvaluatedBatch>): Metrics;
}

/** Where and for whom a task is made. */
export interface TaskContext {
  readonly sequence: number;
  /** Seed of the training data: a safe integer >= 0. */
  readonly seed: number;
  /** Folder that relative file names start from. */
  readonly folder: string;
}

/** Something wrong with a task's options; `option` is the key below proxy.tasks[i], "" for the task itself. */
export interface TaskIssue {
  readonly option: string;
  readonly message: string;
  readonly help: readonly string[];
}

/** Option values after defaults: integers, numbers, words, and lists of words. */
export type TaskOptions = Readonly<Record<string, number | string | readonly string[]>>;

/** A recipe: `layermix task show NAME` prints everything here. */
export interface TaskKind {
  /** Name in study files. */
  readonly name: string;
  readonly title: string;
  /** What it tells about an architecture, two or three sentences. */
  readonly measures: string;
  /** Paper or code it comes from, and what differs. */
  readonly source: readonly string[];
  readonly options: readonly TaskOption[];
  readonly primary: PrimaryMetric;
  /**
   * Token ids the task uses: the proxy's vocab unless the study sets one. Undefined where only the files tell (a
   * tokenizer, token files); the task that is made always knows.
   */
  vocab(options: TaskOptions): number | undefined;
  /** Problems that no single option shows: lengths that do not fit, vocabularies that are too small. */
  check(options: TaskOptions, sequence: number): readonly TaskIssue[];
  /** Makes the task. Throws LayermixError (LMX7xxx) when a corpus cannot be read. */
  create(options: TaskOptions, context: TaskContext): Promise<Task>;
  /** A short training row, readable: for `task show`. Undefined where the example is the user's own text. */
  example?(options: TaskOptions, sequence: number): readonly string[];
}
