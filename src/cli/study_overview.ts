// What a sweep is going to do, before it does it: candidates, tasks, seeds, trials, tokens, FLOPs, and the data used.

import type { Diagnostic } from "../diag/diagnostic.js";
import { formatCount, formatFlops } from "../report/format.js";
import type { PreparedStudy } from "../search/prepare_study.js";
import type { StudyDocument } from "../study/study_document.js";
import { trialTokens } from "../study/trial.js";
import { trialNames } from "./progress/trial_names.js";

/** Sizes of a study, in plain numbers. */
export interface StudySize {
  readonly candidates: number;
  readonly tasks: number;
  readonly seeds: number;
  /** Distinct trials. */
  readonly trials: number;
  /** Trained on, over all trials. */
  readonly tokens: number;
  /** Training FLOPs over all trials, without evaluation. */
  readonly flops: number;
}

export function studySize({ document, trials }: PreparedStudy): StudySize {
  const tokens = new Map(trials.map((trial) => [trial.id, trialTokens(trial.definition)]));
  const candidateOf = new Map(
    document.trials.map(({ id, candidate }) => [id, document.candidates[candidate]!]),
  );
  let flops = 0;
  for (const [id, count] of tokens) flops += count * (candidateOf.get(id)?.proxy.flopsPerToken ?? 0);
  return {
    candidates: document.candidates.length,
    tasks: document.tasks.length,
    seeds: document.seeds.length,
    trials: trials.length,
    tokens: [...tokens.values()].reduce((sum, count) => sum + count, 0),
    flops,
  };
}

export function overviewText(study: PreparedStudy, folder: string): string {
  const { document } = study;
  const size = studySize(study);
  return [
    `${document.name}: ${counted(size.candidates, "candidate")} x ${counted(size.tasks, "task")} x ` +
      `${counted(size.seeds, "seed")} = ${counted(size.trials, "trial")}, ${formatCount(size.tokens)} tokens, ` +
      `about ${formatFlops(size.flops)} in ${folder}`,
    ...document.tasks.flatMap((task) => task.description.map((line) => `  ${line}`)),
    ...document.dropped.map(({ name, reason }) => `  dropped ${name}: ${reason}`),
  ].join("\n");
}

/** One line per trial: id, candidate, task, seed, steps. */
export function trialList({ document, trials }: PreparedStudy): string {
  const names = trialNames(document);
  const rows = trials.map(({ id, definition }) => [
    id,
    ...(names.get(id) ?? []),
    `${definition.steps} steps`,
    `${formatCount(trialTokens(definition))} tokens`,
  ]);
  const widths = rows.reduce<number[]>(
    (all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)),
    [],
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A warning for every group of candidates that are one and the same model at the proxy's size (LMX4013). */
export function sharedProxyWarnings(document: StudyDocument): readonly Diagnostic[] {
  const byTrial = new Map<string, Set<string>>();
  for (const { id, candidate } of document.trials) {
    const names = byTrial.get(id) ?? new Set();
    byTrial.set(id, names.add(document.candidates[candidate]!.name));
  }
  const groups = new Set(
    [...byTrial.values()].filter((names) => names.size > 1).map((names) => [...names].join(", ")),
  );
  return [...groups].map((names) => ({
    code: "LMX4013",
    severity: "warning",
    message: `These candidates have the same proxy, so their trials are the same: ${names}`,
    help: ["Raise proxy.model.layers until their shares round to different layer counts."],
  }));
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
