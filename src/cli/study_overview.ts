// What a sweep is going to do, before it does it: candidates, tasks, seeds, trials, tokens, FLOPs, and the data used.

import type { Diagnostic } from "../diag/diagnostic.js";
import { counted, formatCount, formatFlops, formatShare } from "../report/format.js";
import { type Foresight, foresee } from "../search/foresee.js";
import type { PreparedStudy } from "../search/prepare_study.js";
import type { StudyDocument } from "../study/study_document.js";
import { trialTokens } from "../study/trial.js";
import { trialNames } from "./progress/trial_names.js";

/** Sizes of a study, in plain numbers. */
export interface StudySize extends Foresight {
  readonly tasks: number;
  readonly seeds: number;
}

export function studySize({ document, space }: PreparedStudy): StudySize {
  return { ...foresee(space), tasks: document.tasks.length, seeds: document.seeds.length };
}

export function overviewText(study: PreparedStudy, folder: string): string {
  const { document, trials } = study;
  const size = studySize(study);
  const { search, spec } = document;
  const of = `${counted(document.candidates.length, "candidate")} x ${counted(size.tasks, "task")} x ${counted(size.seeds, "seed")}`;
  const inAll = `${size.exact ? "" : "about "}${counted(size.trials, "trial")}, ${formatCount(size.tokens)} tokens, about ${formatFlops(size.flops)}`;
  const { maxSeeds, optimizer } = spec.proxy!;
  const rates = optimizer.learningRateSweep?.rates;
  return [
    size.exact && rates === undefined
      ? `${document.name}: ${of} = ${inAll} in ${folder}`
      : `${document.name}: ${of}, ${search.strategy}: ${inAll} in ${folder}`,
    ...document.tasks.flatMap((task) => task.description.map((line) => `  ${line}`)),
    ...(size.exact
      ? []
      : [`  at first ${counted(trials.length, "trial")}; the others follow from what these show`]),
    ...(search.rungs.length > 1 ? [`  rungs at ${search.rungs.map(formatShare).join(", ")} of the run`] : []),
    ...(maxSeeds === undefined ? [] : [`  up to ${maxSeeds} seeds where candidates are tied with the best`]),
    ...(rates === undefined
      ? []
      : [`  learning rate of every candidate and task: the best of ${rates.join(", ")} in pilot runs`]),
    ...(search.budget === undefined
      ? []
      : [`  budget ${formatCount(search.budget.limit)} ${search.budget.unit}`]),
    ...document.dropped.map(({ name, reason }) => `  dropped ${name}: ${reason}`),
  ].join("\n");
}

/** One line per trial: id, candidate, task, seed, steps. */
export function trialList({ document, trials }: PreparedStudy): string {
  const names = trialNames(document);
  const until = new Map(document.trials.map((trial) => [trial.id, trial.until]));
  const rows = trials.map(({ id, definition }) => {
    const steps = until.get(id) ?? definition.steps;
    return [
      id,
      ...(names.get(id) ?? []),
      steps === definition.steps ? `${steps} steps` : `${steps} of ${definition.steps} steps`,
      `${formatCount((trialTokens(definition) / definition.steps) * steps)} tokens`,
    ];
  });
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
