// The ranking for people: one row per candidate, best first, then how to read it, what is missing, and what it says.

import { printable } from "../diag/display_width.js";
import { significantPairs } from "../rank/compare.js";
import { tieLetters } from "../rank/letters.js";
import type { RankedCandidate, Ranking } from "../rank/rank_types.js";
import { conclusions } from "./conclusion.js";
import { counted, formatBytes, formatCount, formatDuration, formatInteger, formatShare } from "./format.js";
import { formatEstimate, formatMeasure, type MeasureKind } from "./measure_text.js";
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
  const text = renderTable(columns, rows, options);
  const notes = [
    legend(ranking, letters !== undefined),
    ...rateLines(ranking),
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

/** The learning rates that pilot runs have chosen, candidates with the same ones together. */
function rateLines(ranking: Ranking): readonly string[] {
  const groups = new Map<string, string[]>();
  for (const { candidate, learningRates } of ranking.ranking) {
    if (learningRates === undefined || Object.keys(learningRates).length === 0) continue;
    const rates = Object.entries(learningRates).map(([task, rate]) => `${task} ${rate}`);
    const key = rates.join(", ");
    groups.set(key, [...(groups.get(key) ?? []), candidate]);
  }
  if (groups.size === 0) return [];
  return [
    "",
    "learning rates by pilot runs:",
    ...[...groups].map(([rates, names]) => `  ${rates}: ${names.join(", ")}`),
  ];
}

/** Candidates left behind stand in the table with where they were; what else is missing is told here. */
function problemLines(ranking: Ranking): readonly string[] {
  const { done, pruned, total } = ranking.trials;
  const behind = ranking.ranking.filter(({ prunedAt }) => prunedAt !== undefined).length;
  const left =
    behind === 0
      ? []
      : [
          "",
          `${behind} of ${ranking.ranking.length} candidates were left behind, at the share of the run shown`,
        ];
  if (done + pruned >= total) return left;
  const lines = ranking.ranking.flatMap((entry) =>
    entry.prunedAt === undefined ? entry.problems.map((problem) => `${entry.candidate}: ${problem}`) : [],
  );
  return [...left, "", `${done} of ${counted(total, "trial")} done`, ...lines];
}

function conclusionLines(ranking: Ranking): readonly string[] {
  const lines = [...conclusions(ranking), ...frontLines(ranking), ...baselineLines(ranking)];
  return lines.length === 0 ? [] : ["", ...lines];
}

/** Candidates that nothing beats in the measure and in every cost at once. */
function frontLines(ranking: Ranking): readonly string[] {
  const { objectives, front, knee } = ranking.pareto;
  if (objectives.length < 2 || ranking.ranking.filter(({ score }) => score !== null).length < 2) return [];
  const kind = measureKind(ranking);
  const points = front.map(({ candidate, values }) => {
    const texts = values.map((value, i) =>
      i === 0
        ? formatEstimate(kind, { mean: value, interval: null })
        : formatCost(objectives[i]!.name, value),
    );
    return `${candidate} (${texts.join(", ")})`;
  });
  const names = objectives.map(({ name }) => name);
  const knees = knee === null ? "" : `; knee: ${knee}`;
  return [`Pareto front of ${names.join(" and ")}: ${points.join(", ")}${knees}.`];
}

function formatCost(name: string, value: number): string {
  if (name === "decode_seconds") return formatDuration(value);
  return /bytes|memory/.test(name) ? formatBytes(value) : formatCount(value);
}

/** What choosing without any training would have cost. */
function baselineLines(ranking: Ranking): readonly string[] {
  const kind = measureKind(ranking);
  const how = { params: "most parameters", flops: "most FLOPs", random: "any at random" };
  const choices = ranking.baselines.map(({ by, regret }) => {
    const worse = kind === "accuracy" ? `${(100 * regret).toFixed(1)} points` : formatMeasure(kind, regret);
    return `${worse} (${how[by]})`;
  });
  return choices.length === 0
    ? []
    : [`Chosen without training, the first would be worse by ${choices.join(", ")}.`];
}
