// How a measure is written on an axis and in a sentence.

import type { Ranking } from "../../rank/rank_types.js";
import { formatMeasure, type MeasureKind } from "../measure_text.js";

/** The kind of the measure that a ranking is by. */
export function rankedKind(ranking: Ranking): MeasureKind {
  if (ranking.by === "score" || ranking.by === "loss") return ranking.by;
  return ranking.tasks.find(({ label }) => label === ranking.by)!.primary.name;
}

/** Axis labels: short, the digits that the range needs. */
export function axisFormat(kind: MeasureKind): (value: number) => string {
  if (kind === "accuracy") return (value) => `${Number((value * 100).toFixed(1))}%`;
  return (value) => String(Number(value.toFixed(3)));
}

/** In a sentence or a label: "63.12", "98.4%". */
export function exactFormat(kind: MeasureKind): (value: number) => string {
  return (value) => formatMeasure(kind, value);
}

export function boundsOf(kind: MeasureKind): readonly [number, number] {
  return kind === "accuracy" ? [0, 1] : kind === "score" ? [0, 100] : [0, Number.POSITIVE_INFINITY];
}
