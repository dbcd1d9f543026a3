// The ranking as a table for other programs: one row per candidate, one header row, no units in the cells.

import type { Ranking } from "../rank/rank_types.js";
import { type CsvCell, csvText } from "./csv.js";

/**
 * Columns: rank, candidate, state, the measure ranked by with its interval, tied_with (names joined by ";"), each task
 * with its interval, params, flops_per_token, pattern, the same three of the proxy, problems.
 */
export function rankingCsv(ranking: Ranking): string {
  const header = [
    "rank",
    "candidate",
    "state",
    ranking.by,
    `${ranking.by}_low`,
    `${ranking.by}_high`,
    "tied_with",
    ...ranking.tasks.flatMap(({ label, primary }) => {
      const name = `${label}_${primary.name}`;
      return [name, `${name}_low`, `${name}_high`];
    }),
    ...["params", "flops_per_token", "pattern"],
    ...["proxy_params", "proxy_flops_per_token", "proxy_pattern"],
    "problems",
  ];
  const rows = ranking.ranking.map((entry): readonly CsvCell[] => [
    entry.rank,
    entry.candidate,
    entry.state,
    entry.score,
    ...bounds(entry.interval),
    entry.tiedWith.join(";"),
    ...ranking.tasks.flatMap(({ label }) => {
      const { mean, interval } = entry.tasks[label]!;
      return [mean, ...bounds(interval)];
    }),
    entry.params,
    entry.flopsPerToken,
    entry.pattern,
    entry.proxy.params,
    entry.proxy.flopsPerToken,
    entry.proxy.pattern,
    entry.problems.join("; "),
  ]);
  return csvText([header, ...rows]);
}

function bounds(interval: readonly [number, number] | null): readonly [CsvCell, CsvCell] {
  return interval ?? [null, null];
}
