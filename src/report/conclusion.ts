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
    return `All candidates are tied for first: none can be told apart from ${leaders[0]} ${evidence}.`;
  }
  if (leaders.length === 1) return `${leaders[0]} is first, ahead of every other candidate ${evidence}.`;
  return `${joinNames(leaders)} are tied for first; every other candidate is behind ${leaders[0]} ${evidence}.`;
}

/** Names the candidate that most others beat, and who beats it. */
function taskSentence(label: string, comparisons: readonly Comparison[], confidence: number): string {
  const percent = formatShare(confidence);
  const significant = comparisons.filter((comparison) => comparison.significant);
  if (significant.length === 0) return `On ${label} no two candidates can be told apart (${percent}).`;
  const names = [...new Set(comparisons.flatMap(({ better, worse }) => [better, worse]))];
  const winnersOver = (name: string) =>
    significant.filter(({ worse }) => worse === name).map(({ better }) => better);
  const beaten = names.reduce((most, name) =>
    winnersOver(name).length > winnersOver(most).length ? name : most,
  );
  const winners = winnersOver(beaten);
  const who =
    winners.length === names.length - 1 && winners.length > 1
      ? "every other candidate beats"
      : `${joinNames(winners)} ${winners.length === 1 ? "beats" : "beat"}`;
  const more = significant.length - winners.length;
  const rest = more === 0 ? "" : `; ${more} more ${more === 1 ? "pair differs" : "pairs differ"}`;
  return `On ${label} ${who} ${beaten}${rest} (${percent}).`;
}

function joinNames(names: readonly string[]): string {
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
