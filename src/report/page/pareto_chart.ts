// Quality against what it costs to serve. Points that nothing beats in both are joined; the knee is ringed.

import { chart, frameOf, mark, placeNames } from "./chart.js";
import { type Html, html } from "./html.js";
import { linearScale } from "./scale.js";

export interface ParetoPoint {
  readonly candidate: number;
  readonly name: string;
  readonly cost: number;
  readonly quality: number;
  readonly interval: readonly [number, number] | null;
  readonly onFront: boolean;
  readonly isKnee: boolean;
}

export interface ParetoChartOptions {
  readonly costTitle: string;
  readonly qualityTitle: string;
  /** What ticks are round multiples of: 1024^2 for memory that is written in MiB. */
  readonly costUnit: number;
  readonly formatCost: (value: number) => string;
  readonly formatQuality: (value: number) => string;
}

export function paretoChart(points: readonly ParetoPoint[], options: ParetoChartOptions): Html {
  const frame = frameOf(560, 330, 20);
  const x = linearScale(
    points.map(({ cost }) => cost),
    {
      from: frame.left,
      to: frame.width - frame.right,
      ticks: 5,
      format: options.formatCost,
      margin: 0.1,
      unit: options.costUnit,
    },
  );
  const y = linearScale(
    points.flatMap(({ quality, interval }) => [quality, ...(interval ?? [])]),
    { from: frame.height - frame.bottom, to: frame.top, ticks: 5, format: options.formatQuality },
  );
  const front = points.filter(({ onFront }) => onFront).sort((a, b) => a.cost - b.cost);
  // A staircase: between two points of a front nothing better is known than the cheaper one.
  const stairs = front.reduce(
    (path, { cost, quality }, i) =>
      i === 0 ? `M${x.at(cost)} ${y.at(quality)}` : `${path}H${x.at(cost)}V${y.at(quality)}`,
    "",
  );
  const named = points.length <= 16;
  const places = placeNames(
    points.map(({ cost, quality, name }) => ({ x: x.at(cost), y: y.at(quality), name })),
    frame,
  );
  const marks = html`<path class="front" d="${stairs}"/>${points.map((point, i) => {
    const [px, py] = [x.at(point.cost), y.at(point.quality)];
    const place = places[i]!;
    return mark(
      point.candidate,
      `${point.name}: ${options.formatQuality(point.quality)}, ${options.formatCost(point.cost)}${point.isKnee ? ", the knee" : ""}`,
      html`${point.interval !== null && html`<path class="error" d="M${px} ${y.at(point.interval[0])}V${y.at(point.interval[1])}"/>`}${
        point.isKnee && html`<circle class="knee" cx="${px}" cy="${py}" r="10"/>`
      }<circle class="${point.onFront ? "dot" : "hollow"}" cx="${px}" cy="${py}" r="5"/>${
        named &&
        html`<text class="name" x="${place.x}" y="${place.y}" text-anchor="${place.anchor}">${point.name}</text>`
      }`,
    );
  })}`;
  return chart({
    ...{ frame, x, y, marks },
    xTitle: options.costTitle,
    yTitle: options.qualityTitle,
    description: `${options.qualityTitle} against ${options.costTitle}. Not beaten in both: ${front.map(({ name }) => name).join(", ")}.`,
  });
}
