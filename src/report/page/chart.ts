// The frame every chart stands in: a title, axes with few ticks and faint lines, one description for those who do not see
// it. Marks that belong to a candidate carry data-c, which is what hovering, focusing and dimming go by.

import { type Html, type HtmlValue, html } from "./html.js";
import type { Scale } from "./scale.js";

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Room for tick labels at the left and below; `right` for names at the ends of lines. */
export function frameOf(width: number, height: number, right = 14): Frame {
  return { width, height, left: 46, right, top: 28, bottom: 38 };
}

export interface ChartParts {
  readonly frame: Frame;
  readonly x: Scale;
  readonly y: Scale;
  readonly xTitle: string;
  readonly yTitle: string;
  /** What the chart shows, in a sentence or two. */
  readonly description: string;
  readonly marks: HtmlValue;
}

/** One chart as inline SVG. */
export function chart({ frame, x, y, xTitle, yTitle, description, marks }: ChartParts): Html {
  const { width, height, left, right, top, bottom } = frame;
  const [floor, end] = [height - bottom, width - right];
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${description}">
<g class="grid">${y.ticks.map((tick) => html`<path d="M${left} ${y.at(tick)}H${end}"/>`)}</g>
<g class="ticks">${y.ticks.map((tick) => html`<text x="${left - 6}" y="${y.at(tick) + 3.5}" text-anchor="end">${y.format(tick)}</text>`)}${x.ticks.map(
    (tick) =>
      html`<path d="M${x.at(tick)} ${floor}v4"/><text x="${x.at(tick)}" y="${floor + 16}" text-anchor="middle">${x.format(tick)}</text>`,
  )}</g>
<path class="axis" d="M${left} ${floor}H${end}"/>
<text class="title" x="${end}" y="${height - 4}" text-anchor="end">${xTitle}</text>
<text class="title" x="0" y="${top - 17}">${yTitle}</text>
${marks}</svg>`;
}

/** Marks of one candidate. `label` is what a pointer or the keyboard brings up. */
export function mark(candidate: number, label: string, content: HtmlValue): Html {
  return html`<g class="mark c${candidate}" data-c="${candidate}" data-label="${label}">${content}</g>`;
}

/** A path through points, broken where a value is missing. */
export function linePath(points: readonly (readonly [number, number] | undefined)[]): string {
  let path = "";
  let pen = "M";
  for (const point of points) {
    if (point === undefined) pen = "M";
    else {
      path += `${pen}${point[0]} ${point[1]}`;
      pen = "L";
    }
  }
  return path;
}

/** The closed band between two lines over the same places. */
export function bandPath(upper: readonly (readonly [number, number])[], lower: typeof upper): string {
  return upper.length < 2 ? "" : `${linePath([...upper, ...[...lower].reverse()])}Z`;
}

/** Vertical positions for labels at the ends of lines: in order, at least `gap` apart, inside [low, high]. */
export function spreadLabels(
  wanted: readonly number[],
  gap: number,
  low: number,
  high: number,
): readonly number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]!);
  const placed = new Array<number>(wanted.length);
  let next = low;
  for (const i of order) {
    placed[i] = Math.max(next, wanted[i]!);
    next = placed[i] + gap;
  }
  let limit = high;
  for (const i of [...order].reverse()) {
    placed[i] = Math.min(placed[i]!, limit);
    limit = placed[i]! - gap;
  }
  return placed;
}

/** A name beside its mark. */
export interface PlacedName {
  readonly x: number;
  readonly y: number;
  readonly anchor: "start" | "end" | "middle";
}

/** Where to write names beside points so that they cover neither each other nor the frame's edge, as far as that goes. */
export function placeNames(
  points: readonly { readonly x: number; readonly y: number; readonly name: string }[],
  frame: Frame,
): readonly PlacedName[] {
  const taken = points.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  return points.map(({ x, y, name }) => {
    const width = 6.4 * name.length;
    const tries: readonly PlacedName[] = [
      { x: x + 8, y: y - 10, anchor: "start" },
      { x: x - 8, y: y - 10, anchor: "end" },
      { x: x + 10, y: y + 16, anchor: "start" },
      { x, y: y + 20, anchor: "middle" },
      { x: x - 10, y: y + 16, anchor: "end" },
      { x, y: y - 24, anchor: "middle" },
      { x, y: y + 34, anchor: "middle" },
    ];
    const boxOf = (place: PlacedName) => {
      const left = { start: place.x, end: place.x - width, middle: place.x - width / 2 }[place.anchor];
      return { left, right: left + width, top: place.y - 10, bottom: place.y + 2 };
    };
    const crossings = (place: PlacedName) => {
      const box = boxOf(place);
      const outside = box.left < 0 || box.right > frame.width || box.top < 0 ? 5 : 0;
      const hit = taken.filter(
        (other) =>
          box.left < other.right &&
          box.right > other.left &&
          box.top < other.bottom &&
          box.bottom > other.top,
      );
      return hit.length + outside;
    };
    const best = tries.reduce((a, b) => (crossings(b) < crossings(a) ? b : a));
    taken.push(boxOf(best));
    return { ...best, x: Math.round(best.x), y: Math.round(best.y) };
  });
}
