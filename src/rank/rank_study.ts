// From a study's document and the ends of its trials to a ranking. Where the trials' results lie is the caller's business,
// so this stays pure.

import type { ProxySpec } from "../spec/spec.js";
import { isFailure, type TrialOutcome } from "../study/outcome.js";
import type { TrialRung } from "../study/rung.js";
import type { StudyCandidate, StudyDocument } from "../study/study_document.js";
import { rank } from "./rank.js";
import type { RankCandidate, RankInput, Ranking, RankOutcome } from "./rank_types.js";
import { taskLabels } from "./task_labels.js";

export interface RankChoice {
  /** "score", "loss" or a task's label; the study's rank.by when absent. */
  readonly by?: string | undefined;
  /** 0.95; the study's rank.confidence when absent. */
  readonly confidence?: number | undefined;
}

/**
 * @param endOf the end of a trial by its id, or where it paused on its way to a step; undefined while it has neither.
 * @throws LayermixError LMX7010 for an unknown measure.
 */
export function rankStudy(document: StudyDocument, endOf: TrialEnds, choice: RankChoice = {}): Ranking {
  return rank(rankInput(document, endOf, choice));
}

/** How often candidates may be compared: once for every number of seeds from the least to the most. */
export function looksOf(proxy: Pick<ProxySpec, "seeds" | "maxSeeds"> | undefined): number {
  return proxy?.maxSeeds === undefined ? 1 : proxy.maxSeeds - proxy.seeds + 1;
}

/** What is known of the end of a trial. */
export type TrialEnds = (trialId: string, until?: number) => TrialOutcome | TrialRung | undefined;

function seedsOf({ trials }: StudyDocument, candidate: number): readonly number[] {
  return [...new Set(trials.filter((trial) => trial.candidate === candidate).map(({ seed }) => seed))];
}

/** Learning rates by task label, where they are swept and have been chosen. */
function ratesOf(
  { learningRates }: StudyCandidate,
  labels: readonly string[],
): Pick<RankCandidate, "learningRates"> {
  if (learningRates === undefined) return {};
  const chosen = learningRates.flatMap(({ task, chosen }) =>
    chosen === undefined ? [] : [[labels[task]!, chosen] as const],
  );
  return { learningRates: Object.fromEntries(chosen) };
}

/** What a study has measured so far, as the ranking reads it. */
export function rankInput(document: StudyDocument, endOf: TrialEnds, choice: RankChoice = {}): RankInput {
  const labels = taskLabels(document.spec.proxy?.tasks ?? []);
  return {
    candidates: document.candidates.map((candidate, index) => ({
      name: candidate.name,
      seeds: seedsOf(document, index),
      pattern: candidate.pattern,
      params: candidate.params.total,
      flopsPerToken: candidate.flopsPerToken,
      proxy: candidate.proxy,
      costs: candidate.costs,
      ...ratesOf(candidate, labels),
    })),
    tasks: document.tasks.map(({ weight, primary }, index) => ({ label: labels[index]!, weight, primary })),
    seeds: document.seeds,
    outcomes: document.trials.flatMap((trial): RankOutcome[] => {
      const outcome = endOf(trial.id, trial.until);
      if (outcome === undefined) return [];
      const place = {
        candidate: document.candidates[trial.candidate]!.name,
        task: labels[trial.task]!,
        seed: trial.seed,
      };
      if ("step" in outcome) {
        const share = outcome.step / document.tasks[trial.task]!.rungs.at(-1)!;
        const { metrics } = outcome;
        return [{ ...place, status: "paused", metrics, share, pruned: trial.pruned === true }];
      }
      if (isFailure(outcome)) return [{ ...place, status: "failed", reason: outcome.message }];
      const metrics = outcome.metrics === undefined ? {} : { metrics: outcome.metrics };
      return [{ ...place, status: outcome.status, ...metrics }];
    }),
    by: choice.by ?? document.spec.rank.by,
    looks: looksOf(document.spec.proxy),
    confidence: choice.confidence ?? document.spec.rank.confidence,
  };
}
