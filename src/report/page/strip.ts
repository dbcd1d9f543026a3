// A pattern as a strip of cells, one per layer, coloured by kind with its symbol in it while there is room. Deep models
// have narrow cells: those are drawn as one path per kind, so that a page with many of them stays small.

import { blocks } from "../../block/registry.js";
import { kindClass } from "./colors.js";
import { type Html, html } from "./html.js";
import { round } from "./scale.js";

const kindOf = new Map(blocks.map(({ symbol, kind }) => [symbol, kind]));

/** Symbols that are no layer: pipeline cuts, and where multi-token prediction begins. */
const marks = new Set(["|", "/"]);

const height = 18;
/** Pixels that a symbol needs. */
const readable = 10;

/** The strip of a pattern, at most `width` pixels wide. */
export function layerStrip(pattern: string, width: number): Html {
  const layers = [...pattern].filter((symbol) => !marks.has(symbol));
  const cell = Math.min(height, width / layers.length);
  const used = round(cell * layers.length);
  const counts = new Map<string, number>();
  for (const symbol of layers) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  const words = [...counts].map(([symbol, count]) => `${count} ${kindOf.get(symbol) ?? symbol}`).join(", ");
  const cells = cell >= readable ? wideCells(layers, cell) : narrowCells(layers, cell);
  return html`<svg class="strip" viewBox="0 0 ${used} ${height}" width="${used}" height="${height}" role="img" aria-label="${pattern}: ${words}"><title>${pattern}: ${words}</title>${cells}</svg>`;
}

function wideCells(layers: readonly string[], cell: number): readonly Html[] {
  return layers.map((symbol, i) => {
    const x = round(i * cell);
    return html`<rect class="${kindClass(kindOf.get(symbol) ?? "other")}" x="${x}" width="${round(cell - 1)}" height="${height}" rx="2"/><text x="${round(x + (cell - 1) / 2)}" y="13" text-anchor="middle">${symbol}</text>`;
  });
}

function narrowCells(layers: readonly string[], cell: number): readonly Html[] {
  const lines = new Map<string, string>();
  for (const [i, symbol] of layers.entries()) {
    const kind = kindOf.get(symbol) ?? "other";
    lines.set(kind, `${lines.get(kind) ?? ""}M${round((i + 0.5) * cell)} 0v${height}`);
  }
  const stroke = round(cell > 4 ? cell - 1 : cell * 0.85);
  return [...lines].map(
    ([kind, path]) => html`<path class="${kindClass(kind)}" stroke-width="${stroke}" d="${path}"/>`,
  );
}

/** The kinds that the patterns use, each with its colour, symbol and name. */
export function stripLegend(patterns: readonly string[]): Html {
  const used = blocks.filter(({ symbol }) => patterns.some((pattern) => pattern.includes(symbol)));
  return html`<ul class="legend">${used.map(
    ({ kind, symbol }) =>
      html`<li><svg class="chip ${kindClass(kind)}" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" rx="2"/></svg><code>${symbol}</code> ${kind}</li>`,
  )}</ul>`;
}
