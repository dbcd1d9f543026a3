// A study as plain tables for other programs: one row per trial, or one row per measured value along the runs.

import { taskLabels } from "../rank/task_labels.js";
import { isFailure } from "../study/outcome.js";
import type { StudyMeasurements, TrialMeasurements } from "../study/study_measurements.js";

export interface TableColumn {
  readonly name: string;
  readonly kind: "text" | "integer" | "number";
}

export interface DataTable {
  readonly columns: readonly TableColumn[];
  /** Cells in the order of the columns; null where nothing is known. */
  readonly rows: readonly (readonly (string | number | null)[])[];
}

const text = (name: string): TableColumn => ({ name, kind: "text" });
const integer = (name: string): TableColumn => ({ name, kind: "integer" });
const number = (name: string): TableColumn => ({ name, kind: "number" });

/** "done", "diverged", "failed", "pruned", "paused", or "unfinished". */
export function trialState({ outcome, rung, pruned }: TrialMeasurements): string {
  if (outcome !== undefined) return isFailure(outcome) ? "failed" : outcome.status;
  if (pruned === true) return "pruned";
  return rung === undefined ? "unfinished" : "paused";
}

/** One row per trial; the swept values stand last, one column each, under their paths. */
export function trialTable({ document, trials }: StudyMeasurements): DataTable {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const paths = [...new Set(document.candidates.flatMap(({ values }) => Object.keys(values)))];
  const numeric = (path: string) =>
    document.candidates.every(({ values }) => values[path] === undefined || typeof values[path] === "number");
  const columns = [
    ...["trial", "candidate", "pattern", "task"].map(text),
    integer("seed"),
    text("state"),
    integer("tokens"),
    ...["loss", "accuracy", "bits_per_byte"].map(number),
    ...["params", "proxy_params"].map(integer),
    ...["flops_per_token", "proxy_flops_per_token", "train_seconds", "tokens_per_second"].map(number),
    text("device"),
    ...paths.map((path) => (numeric(path) ? number(path) : text(path))),
  ];
  const rows = trials.map((trial) => {
    const candidate = document.candidates[trial.candidate]!;
    const { outcome, rung, timing } = trial;
    const ended = outcome !== undefined && !isFailure(outcome) ? outcome : rung;
    return [
      trial.id,
      candidate.name,
      candidate.pattern,
      labels[trial.task]!,
      trial.seed,
      trialState(trial),
      ended?.tokens ?? null,
      ended?.metrics?.loss ?? null,
      ended?.metrics?.accuracy ?? null,
      ended?.metrics?.bitsPerByte ?? null,
      candidate.params.total,
      candidate.proxy.params,
      candidate.flopsPerToken,
      candidate.taskFlopsPerToken[trial.task]!,
      timing?.trainSeconds ?? null,
      timing?.tokensPerSecond ?? null,
      timing?.device ?? null,
      ...paths.map((path) => cell(candidate.values[path])),
    ];
  });
  return { columns, rows };
}

/** One row per value: training loss, gradient norm and learning rate of each logged step, every held-out figure. */
export function curveTable({ document, trials }: StudyMeasurements): DataTable {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  const columns = [
    ...["trial", "candidate", "task"].map(text),
    ...["seed", "step", "tokens"].map(integer),
    ...["split", "metric"].map(text),
    number("value"),
  ];
  const rows = trials.flatMap((trial) => {
    const place = [
      trial.id,
      document.candidates[trial.candidate]!.name,
      labels[trial.task]!,
      trial.seed,
    ] as const;
    return curveValues(trial, document.tasks[trial.task]!.batchTokens).map(
      ({ step, tokens, split, metric, value }) => [...place, step, tokens, split, metric, value],
    );
  });
  return { columns, rows };
}

export interface CurveValue {
  readonly step: number;
  readonly tokens: number;
  readonly split: "train" | "eval";
  readonly metric: string;
  readonly value: number;
}

/** What a trial measured along its run, by step. Numbers only: a figure by size ("by_entries") is not among them. */
export function curveValues(
  { training, evaluations }: TrialMeasurements,
  batchTokens: number,
): readonly CurveValue[] {
  const train = training.flatMap(({ step, tokens, loss, gradNorm, learningRate }) =>
    Object.entries({ loss, grad_norm: gradNorm, learning_rate: learningRate }).flatMap(([metric, value]) =>
      value === null ? [] : [{ step, tokens, split: "train" as const, metric, value }],
    ),
  );
  const held = evaluations.flatMap(({ step, metrics: { loss, accuracy, bitsPerByte } }) =>
    Object.entries({ loss, accuracy, bits_per_byte: bitsPerByte }).flatMap(([metric, value]) =>
      value === undefined || !Number.isFinite(value)
        ? []
        : [{ step, tokens: step * batchTokens, split: "eval" as const, metric, value }],
    ),
  );
  return [...train, ...held].sort((a, b) => a.step - b.step);
}

function cell(value: unknown): string | number | null {
  if (value === undefined || value === null) return null;
  return typeof value === "number" || typeof value === "string" ? value : JSON.stringify(value);
}
