// `data` of `layermix rank --json` and `layermix sweep --json`: the ranking, each candidate with its training speed.

import type { RankedCandidate, Ranking } from "../rank/rank_types.js";

export interface RankingData extends Omit<Ranking, "ranking" | "trials"> {
  readonly ranking: readonly (RankedCandidate & { readonly tokensPerSecond: number | null })[];
  /** `failed` counts trials that failed or diverged; `pruned` those a strategy stopped early. */
  readonly trials: {
    readonly done: number;
    readonly failed: number;
    readonly diverged: number;
    readonly pruned: number;
    readonly total: number;
  };
  /** What the ranking says, one sentence each. */
  readonly conclusions: readonly string[];
}

export function rankingData(
  ranking: Ranking,
  conclusions: readonly string[],
  tokensPerSecond: ReadonlyMap<string, number>,
): RankingData {
  const { done, diverged, failed, total } = ranking.trials;
  return {
    ...ranking,
    ranking: ranking.ranking.map((entry) => ({
      ...entry,
      tokensPerSecond: tokensPerSecond.get(entry.candidate) ?? null,
    })),
    trials: { done, failed: failed + diverged, diverged, pruned: 0, total },
    conclusions,
  };
}
