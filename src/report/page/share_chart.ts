// The measure against the swept share: mean, the band of its interval, and every seed as a dot, so that a reader sees how
// much of the shape is noise.

import type { Interval } from "../../rank/rank_types.js";
import { formatShare } from "../format.js";
import { bandPath, chart, frameOf, linePath, mark } from "./chart.js";
import { type Html, html } from "./html.js";
import { linearScale } from "./scale.js";

export interface SharePoint {
  readonly candidate: number;
  readonly name: string;
  /** On the swept axis. */
  readonly at: number;
  readonly mean: number;
  readonly interval: Interval | null;
  readonly seeds: readonly number[];
}

export interface ShareChartOptions {
  readonly xTitle: string;
  readonly xIsShare: boolean;
  readonly title: string;
  readonly direction: "higher" | "lower";
  readonly format: (value: number) => string;
  readonly bounds?: readonly [number, number];
  readonly confidence: number;
}

export function shareChart(points: readonly SharePoint[], options: ShareChartOptions): Html {
  const frame = frameOf(360, 250);
  const sorted = [...points].sort((a, b) => a.at - b.at);
  const x = linearScale(
    sorted.map(({ at }) => at),
    {
      ...{ from: frame.left, to: frame.width - frame.right, ticks: 5, margin: 0.05 },
      format: options.xIsShare ? formatShare : String,
    },
  );
  const y = linearScale(
    sorted.flatMap(({ mean, interval, seeds }) => [mean, ...(interval ?? []), ...seeds]),
    {
      ...{ from: frame.height - frame.bottom, to: frame.top, ticks: 5, format: options.format },
      ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
    },
  );
  const at = (value: number, point: SharePoint) =>
    [x.at(point.at), y.at(clamp(value, y.low, y.high))] as const;
  const banded = sorted.filter(({ interval }) => interval !== null);
  const marks = html`<path class="band" d="${bandPath(
    banded.map((point) => at(point.interval![1], point)),
    banded.map((point) => at(point.interval![0], point)),
  )}"/><path class="trend" d="${linePath(sorted.map((point) => at(point.mean, point)))}"/>${sorted.map(
    (point) =>
      mark(
        point.candidate,
        `${point.name}: ${options.format(point.mean)}${point.interval === null ? "" : ` (${options.format(point.interval[0])} to ${options.format(point.interval[1])})`}`,
        html`${point.seeds.map((value) => html`<circle class="seed" cx="${x.at(point.at)}" cy="${at(value, point)[1]}" r="2"/>`)}<circle class="dot" cx="${x.at(point.at)}" cy="${at(point.mean, point)[1]}" r="5"/>`,
      ),
  )}`;
  const best = [...sorted].sort((a, b) =>
    options.direction === "higher" ? b.mean - a.mean : a.mean - b.mean,
  )[0];
  return chart({
    ...{ frame, x, y, marks },
    xTitle: options.xTitle,
    yTitle: `${options.title} (${options.direction} is better)`,
    description:
      `${options.title} against ${options.xTitle}, with ${formatShare(options.confidence)} intervals over seeds.` +
      (best === undefined ? "" : ` Best mean: ${best.name} at ${options.format(best.mean)}.`),
  });
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
