// Lines over a common axis, one per candidate, named at their ends where there is room: learning curves, accuracy by
// length.

import { bandPath, chart, frameOf, linePath, mark, spreadLabels } from "./chart.js";
import { type Html, html } from "./html.js";
import { linearScale } from "./scale.js";

export interface ChartLine {
  readonly candidate: number;
  readonly name: string;
  readonly points: readonly {
    readonly x: number;
    readonly y: number;
    /** Spread over seeds. */
    readonly low?: number;
    readonly high?: number;
  }[];
}

export interface CurveChartOptions {
  readonly xTitle: string;
  readonly title: string;
  readonly description: string;
  readonly formatX: (value: number) => string;
  readonly formatY: (value: number) => string;
  readonly bounds?: readonly [number, number];
  /** Points as dots: where there are few, and the line between them is only a guide. */
  readonly dots?: boolean;
  /** Leaves the first share of every curve out of the vertical scale: losses start far above where they end. */
  readonly skipForScale?: number;
}

/** More lines than this are not named at their ends: hovering and the table name them. */
const mostNames = 12;

export function curveChart(lines: readonly ChartLine[], options: CurveChartOptions): Html {
  const named = lines.length <= mostNames;
  const longest = Math.max(0, ...lines.map(({ name }) => name.length));
  const frame = frameOf(560, 310, named ? Math.min(130, 18 + 6.1 * longest) : 14);
  const x = linearScale(
    lines.flatMap(({ points }) => points.map((point) => point.x)),
    {
      from: frame.left,
      to: frame.width - frame.right,
      ticks: 5,
      format: options.formatX,
      margin: options.dots ? 0.04 : 0,
    },
  );
  const skip = options.skipForScale ?? 0;
  const shown = lines.flatMap(({ points }) => points.slice(Math.floor(skip * points.length)));
  const y = linearScale(
    shown.flatMap(({ y: value, low = value, high = value }) => (options.dots ? [value] : [value, low, high])),
    {
      ...{ from: frame.height - frame.bottom, to: frame.top, ticks: 5, format: options.formatY },
      ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
    },
  );
  const inside = (value: number) => y.at(Math.min(y.high, Math.max(y.low, value)));
  // Above the frame a curve is left out, not drawn along its edge.
  const drawn = lines.map((line) => ({
    ...line,
    points: line.points.filter((point) => point.y <= y.high && point.y >= y.low),
  }));
  const ends = drawn.map(({ points }) => inside(points.at(-1)?.y ?? y.low));
  const labels = spreadLabels(ends, 12, frame.top + 4, frame.height - frame.bottom + 2);
  const marks = drawn.map(({ candidate, name, points }, i) => {
    const place = (value: number, at: number) => [x.at(at), inside(value)] as const;
    const end = points.at(-1);
    const band = options.dots
      ? ""
      : bandPath(
          points.map((point) => place(point.high ?? point.y, point.x)),
          points.map((point) => place(point.low ?? point.y, point.x)),
        );
    return mark(
      candidate,
      end === undefined ? name : `${name}: ${options.formatY(end.y)} at ${options.formatX(end.x)}`,
      html`${band !== "" && html`<path class="spread" d="${band}"/>`}<path class="line" d="${linePath(points.map((point) => place(point.y, point.x)))}"/><path class="reach" d="${linePath(points.map((point) => place(point.y, point.x)))}"/>${
        options.dots &&
        points.map(
          (point) => html`<circle class="dot" cx="${x.at(point.x)}" cy="${inside(point.y)}" r="3.5"/>`,
        )
      }${
        named &&
        end !== undefined &&
        html`<text class="name" x="${x.at(end.x) + 7}" y="${Math.round(labels[i]! + 3.5)}">${name.length > 20 ? `${name.slice(0, 19)}…` : name}</text>`
      }`,
    );
  });
  return chart({
    ...{ frame, x, y, marks },
    ...{ xTitle: options.xTitle, yTitle: options.title, description: options.description },
  });
}
