// Speed-up over context as an SVG: one line per model, contexts on a logarithmic axis, the level at which a model is as
// fast as the baseline, and the points that were asked for. One file, no fonts or scripts from elsewhere.

import type { Projection } from "../project/projection.js";
import { formatLength } from "./format.js";
import { niceCeiling } from "./speedup_plot.js";

const [width, height] = [760, 420];
const frame = { left: 56, right: 190, top: 44, bottom: 48 };
// Okabe and Ito's palette, which colour-blind readers can tell apart.
const palette = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

const escapeText = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The document, for projections against one baseline; each has at least two speed-ups. */
export function speedupSvg(projections: readonly Projection[], hardwareName: string): string {
  const all = projections.flatMap(({ speedups }) => speedups!);
  const top = niceCeiling(Math.max(1, ...all.map(({ speedup }) => speedup)));
  const low = Math.log2(Math.min(...all.map(({ context }) => context)));
  const high = Math.log2(Math.max(...all.map(({ context }) => context)));
  const x = (context: number): string =>
    (frame.left + ((Math.log2(context) - low) / (high - low)) * (width - frame.left - frame.right)).toFixed(
      1,
    );
  const y = (speedup: number): string =>
    (height - frame.bottom - (speedup / top) * (height - frame.top - frame.bottom)).toFixed(1);
  const [left, right] = [frame.left, width - frame.right];
  const parts: string[] = [];
  for (let i = 0; i <= 5; i += 1) {
    const value = (top * i) / 5;
    parts.push(
      `<line x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>`,
      `<text x="${left - 8}" y="${y(value)}" dy="4" text-anchor="end">${Number(value.toPrecision(3))}x</text>`,
    );
  }
  for (let octave = Math.ceil(low); octave <= high; octave += Math.ceil((high - low) / 8) || 1) {
    const at = x(2 ** octave);
    parts.push(
      `<text x="${at}" y="${height - frame.bottom + 18}" text-anchor="middle">${formatLength(2 ** octave)}</text>`,
    );
  }
  parts.push(
    `<line x1="${left}" x2="${right}" y1="${y(1)}" y2="${y(1)}" stroke="#555" stroke-dasharray="4 4"/>`,
  );
  projections.forEach((projection, i) => {
    const color = palette[i % palette.length]!;
    const line = projection.speedups!.map(({ context, speedup }) => `${x(context)},${y(speedup)}`).join(" ");
    parts.push(`<polyline points="${line}" fill="none" stroke="${color}" stroke-width="2"/>`);
    for (const { context, speedup } of projection.points) {
      parts.push(`<circle cx="${x(context)}" cy="${y(speedup!)}" r="3" fill="${color}"/>`);
    }
    const place = frame.top + 12 + 18 * i;
    parts.push(
      `<line x1="${right + 14}" x2="${right + 34}" y1="${place}" y2="${place}" stroke="${color}" stroke-width="2"/>`,
      `<text x="${right + 40}" y="${place + 4}">${escapeText(projection.name)}</text>`,
    );
  });
  const [first] = projections;
  const title = `Decode speed-up over ${first!.baseline} on ${hardwareName}, batch ${first!.batch}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="24" font-size="15">${escapeText(title)}</text>`,
    ...parts,
    `<text x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">context, tokens</text>`,
    "</svg>",
    "",
  ].join("\n");
}
