// The ranking for people: one row per candidate, best first, then how to read it, what is missing, and what it says.

import { printable } from "../diag/display_width.js";
import { significantPairs } from "../rank/compare.js";
import { tieLetters } from "../rank/letters.js";
import type { RankedCandidate, Ranking } from "../rank/rank_types.js";
import { conclusions } from "./conclusion.js";
import { formatCount, formatInteger, formatShare } from "./format.js";
import { formatEstimate, type MeasureKind } from "./measure_text.js";
import { type Column, type Row, renderTable, type TableOptions } from "./text_table.js";

export interface RankingTableOptions extends TableOptions {
  /** Training tokens per second by candidate, where it was measured. */
  readonly tokensPerSecond?: ReadonlyMap<string, number>;
}

/** The whole text: table, legend, problems, conclusions. No final newline. */
export function renderRanking(ranking: Ranking, options: RankingTableOptions): string {
  const letters = lettersOf(ranking);
  const ranks = ranking.ranking.map((entry) => entry.rank);
  const shared = (rank: number | null) => ranks.filter((other) => other === rank).length > 1;
  const speeds = options.tokensPerSecond;
  const columns: readonly Column[] = [
    { title: "rank", align: "right", dropOrder: 0 },
    { title: "candidate", align: "left", dropOrder: 0 },
    { title: measureTitle(ranking), align: "right", dropOrder: 0 },
    ...(letters === undefined ? [] : [{ title: "ties", align: "left", dropOrder: 0 } as const]),
    ...ranking.tasks.map(
      (task): Column => ({ title: `${task.label} ${task.primary.title}`, align: "right", dropOrder: 0 }),
    ),
    { title: "params", align: "right", dropOrder: 1 },
    { title: "FLOPs/token", align: "right", dropOrder: 2 },
    ...(speeds === undefined ? [] : [{ title: "tokens/s", align: "right", dropOrder: 3 } as const]),
    { title: "pattern", align: "left", dropOrder: 4 },
  ];
  const rows = ranking.ranking.map((entry): Row => {
    const speed = speeds?.get(entry.candidate);
    const cells = [
      entry.rank === null ? "-" : `${entry.rank}${shared(entry.rank) ? "=" : ""}`,
      entry.candidate,
      scoreText(ranking, entry),
      ...(letters === undefined ? [] : [letters.get(entry.candidate) ?? ""]),
      ...ranking.tasks.map((task) => formatEstimate(task.primary.name, entry.tasks[task.label]!)),
      formatCount(entry.params),
      formatCount(entry.flopsPerToken),
      ...(speeds === undefined ? [] : [speed === undefined ? "-" : formatInteger(speed)]),
      entry.pattern,
    ];
    const style = entry.state === "failed" ? "red" : entry.rank === 1 ? "green" : undefined;
    return { cells, ...(style === undefined ? {} : { style }) };
  });
  const { text } = renderTable(columns, rows, options);
  const notes = [
    legend(ranking, letters !== undefined),
    ...problemLines(ranking),
    ...conclusionLines(ranking),
  ];
  return [text, ...notes.map(printable)].join("\n");
}

function measureTitle({ by, direction }: Ranking): string {
  return direction === "lower" && by !== "loss" ? `${by} (lower is better)` : by;
}

/** How values of `by` are written. */
function measureKind(ranking: Pick<Ranking, "by" | "tasks">): MeasureKind {
  if (ranking.by === "score" || ranking.by === "loss") return ranking.by;
  return ranking.tasks.find((task) => task.label === ranking.by)!.primary.name;
}

function scoreText(ranking: Ranking, entry: RankedCandidate): string {
  if (entry.state === "failed") return "failed";
  if (entry.state === "waiting") return "waiting";
  if (entry.prunedAt !== undefined) {
    const { share, value } = entry.prunedAt;
    const there = formatEstimate(measureKind(ranking), { mean: value, interval: null });
    return `${there} at ${formatShare(share)}`;
  }
  const value = formatEstimate(measureKind(ranking), { mean: entry.score, interval: entry.interval });
  return entry.state === "partial" ? `${value} (partial)` : value;
}

function lettersOf(ranking: Ranking): ReadonlyMap<string, string> | undefined {
  const names = ranking.ranking.filter((entry) => entry.score !== null).map((entry) => entry.candidate);
  return names.length < 2 ? undefined : tieLetters(names, significantPairs(ranking.comparisons));
}

function legend(ranking: Ranking, hasLetters: boolean): string {
  const percent = formatShare(ranking.confidence);
  const count = ranking.seeds.length;
  const looks = ranking.looks > 1 ? ` over ${ranking.looks} looks` : "";
  const lines = ["", ranking.formula];
  if (count === 1) {
    lines.push(
      "one seed: no interval, and every candidate counts as tied; two or more seeds tell them apart",
    );
  } else {
    lines.push(`± is half the ${percent} interval of the mean over ${count} seeds`);
    if (hasLetters) {
      lines.push(
        `candidates that share a letter are tied (paired t-test over seeds, Holm's correction, ${percent}${looks})`,
      );
    }
  }
  return lines.join("\n");
}

function problemLines(ranking: Ranking): readonly string[] {
  const lines = ranking.ranking.flatMap((entry) =>
    entry.problems.map((problem) => `${entry.candidate}: ${problem}`),
  );
  const { done, total } = ranking.trials;
  return done < total ? ["", `${done} of ${total} trials done`, ...lines] : [];
}

function conclusionLines(ranking: Ranking): readonly string[] {
  const lines = conclusions(ranking);
  return lines.length === 0 ? [] : ["", ...lines];
}
