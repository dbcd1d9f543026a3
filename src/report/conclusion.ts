// What a ranking says, in plain words and no more than the statistics carry: who is first or shares the first place, and
// for each task, which candidates every other one beats, or that nothing can be told apart.

import type { Comparison, Ranking } from "../rank/rank_types.js";
import { formatShare } from "./format.js";

/** One sentence per line; none while nothing is ranked. */
export function conclusions(ranking: Ranking): readonly string[] {
  const ranked = ranking.ranking.filter((entry) => entry.score !== null);
  if (ranked.length < 2 || ranking.seeds.length < 2) return [];
  const leaders = ranked.filter((entry) => entry.rank === 1).map((entry) => entry.candidate);
  const lines = [firstPlace(leaders, ranked.length, ranking)];
  for (const task of ranking.tasks) {
    lines.push(taskSentence(task.label, ranking.taskComparisons[task.label]!, ranking.confidence));
  }
  return lines;
}

function firstPlace(leaders: readonly string[], rankedCount: number, ranking: Ranking): string {
  const evidence = `(${ranking.seeds.length} seeds, ${formatShare(ranking.confidence)})`;
  if (leaders.length === rankedCount) {
    const all =
      rankedCount === ranking.ranking.length
        ? "All candidates"
        : `The ${rankedCount} candidates run to the end`;
    return `${all} are tied for first: none can be told apart from ${leaders[0]} ${evidence}.`;
  }
  if (leaders.length === 1) return `${leaders[0]} is first, ahead of every other candidate ${evidence}.`;
  return `${joinNames(leaders)} are tied for first; every other candidate is behind ${leaders[0]} ${evidence}.`;
}

/**
 * The one candidate that explains most of the significant pairs, as the winner over several or as the one that several
 * beat; the pairs left over are counted.
 */
function taskSentence(label: string, comparisons: readonly Comparison[], confidence: number): string {
  const percent = formatShare(confidence);
  const significant = comparisons.filter((comparison) => comparison.significant);
  if (significant.length === 0) return `On ${label} no two candidates can be told apart (${percent}).`;
  const names = [...new Set(comparisons.flatMap(({ better, worse }) => [better, worse]))];
  const mostPairs = (of: (pair: Comparison) => string) =>
    names
      .map((name) => ({ name, pairs: significant.filter((pair) => of(pair) === name) }))
      .reduce((most, next) => (next.pairs.length > most.pairs.length ? next : most));
  const winner = mostPairs(({ better }) => better);
  const loser = mostPairs(({ worse }) => worse);
  const others = (list: readonly string[]) =>
    list.length === names.length - 1 && list.length > 1 ? undefined : joinNames(list);
  const won = winner.pairs.length > loser.pairs.length;
  const told = won ? winner.pairs : loser.pairs;
  const sentence = won
    ? `${winner.name} beats ${others(told.map(({ worse }) => worse)) ?? "every other candidate"}`
    : `${others(told.map(({ better }) => better)) ?? "every other candidate"} ${beat(told.length, names.length)} ${loser.name}`;
  const more = significant.length - told.length;
  const rest = more === 0 ? "" : `; ${more} more ${more === 1 ? "pair differs" : "pairs differ"}`;
  return `On ${label} ${sentence}${rest} (${percent}).`;
}

/** "beat" or "beats" for `winners` subjects; "every other candidate" is one. */
function beat(winners: number, candidates: number): string {
  return winners === 1 || winners === candidates - 1 ? "beats" : "beat";
}

function joinNames(names: readonly string[]): string {
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
