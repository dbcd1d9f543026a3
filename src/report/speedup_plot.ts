// Speed-up over context as a plot for the terminal: contexts on a logarithmic axis, one line of braille dots (ASCII on
// a terminal without Unicode), and the level at which both are equally fast.

import type { Projection, SpeedupAt } from "../project/projection.js";
import { paint, type TextStyle } from "./columns.js";
import { formatLength } from "./format.js";

export interface PlotStyle extends TextStyle {
  readonly unicode: boolean;
}

const plotRows = 10;
const axisWidth = 6;
/** Bits of a braille cell by (row, column): Unicode, "Braille Patterns". */
const brailleBits = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** The round number that is not below the value: 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15 ... */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value * 0.999)!;
  return step * power;
}

/** The plot of one or more projections against the same baseline, without a newline at the end. */
export function speedupPlot(projections: readonly Projection[], style: PlotStyle): string {
  const curves = projections.map(({ speedups }) => speedups!);
  const all = curves.flat();
  const top = niceCeiling(Math.max(1, ...all.map(({ speedup }) => speedup)));
  const low = Math.log2(Math.min(...all.map(({ context }) => context)));
  const high = Math.log2(Math.max(...all.map(({ context }) => context)));
  const columns = Math.max(20, Math.min(72, style.width - axisWidth - 6));
  const [dotsX, dotsY] = style.unicode ? [2, 4] : [1, 1];
  const dots = new Set<number>();
  const wide = columns * dotsX;
  const tall = plotRows * dotsY;
  // Rows of dots from the top: curves, the level of equal speed and the labels share them.
  const rowOf = (speedup: number): number => tall - 1 - Math.round((speedup / top) * (tall - 1));
  for (const curve of curves) {
    for (let x = 0; x < wide; x += 1) {
      const at = low + ((high - low) * x) / (wide - 1);
      dots.add(rowOf(interpolate(curve, at)) * wide + x);
    }
  }
  const level = Math.floor(rowOf(1) / dotsY);
  const lines: string[] = [];
  for (let row = 0; row < plotRows; row += 1) {
    let line = "";
    for (let column = 0; column < columns; column += 1) {
      const drawn = cell(dots, row, column, wide, [dotsX, dotsY]);
      if (drawn !== undefined) line += paint(drawn, "cyan", style);
      else if (row === level) line += paint(style.unicode ? "┄" : ".", "dim", style);
      else line += " ";
    }
    const middle = row * dotsY + (dotsY - 1) / 2; // of the row's own dots
    const value = row === 0 ? top : row === plotRows - 1 ? 0 : (top * (tall - 1 - middle)) / (tall - 1);
    const marked = row % 3 === 0 || row === level;
    const label = row === level ? "1x" : marked ? `${Number(value.toPrecision(2))}x` : "";
    const bar = style.unicode ? "┤" : "|";
    lines.push(`${label.padStart(axisWidth)} ${bar}${line.trimEnd()}`);
  }
  const corner = style.unicode ? `└${"─".repeat(columns)}` : `+${"-".repeat(columns)}`;
  lines.push(`${" ".repeat(axisWidth + 1)}${corner}`, axisLabels(low, high, columns));
  const [{ baseline } = { baseline: "" }] = projections;
  return [`speed-up of a decode step over ${baseline}, by context`, ...lines].join("\n");
}

function interpolate(curve: readonly SpeedupAt[], at: number): number {
  const above = curve.findIndex(({ context }) => Math.log2(context) >= at - 1e-9);
  if (above <= 0) return curve[Math.max(0, above)]!.speedup;
  const [a, b] = [curve[above - 1]!, curve[above]!];
  const [x, y] = [Math.log2(a.context), Math.log2(b.context)];
  return a.speedup + ((at - x) / (y - x)) * (b.speedup - a.speedup);
}

function cell(
  dots: ReadonlySet<number>,
  row: number,
  column: number,
  wide: number,
  [dotsX, dotsY]: readonly [number, number],
): string | undefined {
  let bits = 0;
  for (let y = 0; y < dotsY; y += 1) {
    for (let x = 0; x < dotsX; x += 1) {
      if (dots.has((row * dotsY + y) * wide + column * dotsX + x)) bits |= brailleBits[y]![x]!;
    }
  }
  if (bits === 0) return undefined;
  return dotsX === 1 ? "*" : String.fromCodePoint(0x2800 + bits);
}

/** Contexts under the axis: the ends and powers of four between them, where there is room. */
function axisLabels(low: number, high: number, columns: number): string {
  const text = new Array<string>(columns + 8).fill(" ");
  const taken: (readonly [number, number])[] = [];
  const put = (octave: number) => {
    const label = formatLength(Math.round(2 ** octave));
    const start = Math.round(((octave - low) / (high - low)) * (columns - 1)) - Math.floor(label.length / 2);
    const place = [Math.max(0, start), Math.max(0, start) + label.length] as const;
    if (taken.some(([from, to]) => place[0] < to + 1 && from < place[1] + 1)) return;
    taken.push(place);
    [...label].forEach((letter, i) => {
      text[place[0] + i] = letter;
    });
  };
  put(low);
  put(high);
  for (let octave = Math.ceil(low); octave < high; octave += 1) if (octave % 2 === 0) put(octave);
  return `${" ".repeat(axisWidth + 2)}${text.join("").trimEnd()}`;
}
