// What quality costs, in plain words: which candidates nothing beats in both quality and memory, where the knee is, and
// which candidate saves memory without a difference in quality that the seeds can show.

import { dominates, kneeOf } from "../rank/pareto.js";
import { formatBytes, formatShare } from "./format.js";
import type { ReportCandidate, ReportModel } from "./report_model.js";

export interface Tradeoff {
  readonly candidate: ReportCandidate;
  readonly onFront: boolean;
  readonly isKnee: boolean;
}

/** Ranked candidates whose cost is known, with their place on the front of quality against cost (lower is better). */
export function paretoOf(
  { candidates, ranking }: ReportModel,
  cost: (candidate: ReportCandidate) => number | undefined,
): readonly Tradeoff[] {
  const sign = ranking.direction === "higher" ? 1 : -1;
  const known = candidates.filter(
    (candidate) => candidate.ranked.score !== null && cost(candidate) !== undefined,
  );
  const points = known.map((candidate) => [sign * candidate.ranked.score!, -cost(candidate)!] as const);
  const front = [...known.keys()].filter((i) => !points.some((other) => dominates(other, points[i]!)));
  const knee = kneeOf(front.map((i) => points[i]!));
  return known.map((candidate, i) => ({
    candidate,
    onFront: front.includes(i),
    isKnee: knee !== undefined && front[knee] === i,
  }));
}

/** At most three sentences. */
export function tradeoffs(model: ReportModel): readonly string[] {
  const points = paretoOf(model, ({ cacheBytes }) => cacheBytes);
  if (points.length < 2) return [];
  const first = points[0]!.candidate;
  const lines: string[] = [];
  const cheaper = points
    .map(({ candidate }) => candidate)
    .filter(
      ({ study, cacheBytes }) =>
        first.ranked.tiedWith.includes(study.name) && cacheBytes! < 0.95 * first.cacheBytes!,
    )
    .sort((a, b) => a.cacheBytes! - b.cacheBytes!)[0];
  const context = `${model.context.toLocaleString("en-US")} tokens`;
  if (cheaper !== undefined) {
    const saved = 1 - cheaper.cacheBytes! / first.cacheBytes!;
    lines.push(
      `${cheaper.study.name} is tied with ${first.study.name} and needs ${saved > 0.99 ? "over 99%" : formatShare(Math.round(saved * 100) / 100)} less cache and state at ${context} ` +
        `(${formatBytes(cheaper.cacheBytes!)} instead of ${formatBytes(first.cacheBytes!)} per sequence).`,
    );
  }
  const faster = points
    .map(({ candidate }) => candidate)
    .filter(
      ({ study, decodeSeconds }) =>
        first.ranked.tiedWith.includes(study.name) &&
        decodeSeconds !== undefined &&
        decodeSeconds < 0.95 * first.decodeSeconds!,
    )
    .sort((a, b) => a.decodeSeconds! - b.decodeSeconds!)[0];
  if (faster !== undefined && model.serving !== undefined) {
    const factor = first.decodeSeconds! / faster.decodeSeconds!;
    lines.push(
      `${faster.study.name} is tied with ${first.study.name} and is projected to decode ${factor.toFixed(2)} times as fast ` +
        `on ${model.serving.hardware.name} (batch ${model.serving.batch}, ${context}).`,
    );
  }
  const knee = points.find(({ isKnee }) => isKnee)?.candidate;
  if (knee !== undefined) {
    lines.push(
      `The knee between ${model.ranking.by} and memory is ${knee.study.name}: less memory costs much quality there, more buys little.`,
    );
  }
  return lines;
}
