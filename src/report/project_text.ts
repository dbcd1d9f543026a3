// `layermix project` for people: one table per model, the curve of its speed-up, what it assumes, and the definitions
// of what is printed.

import type { Projection, ProjectionPoint } from "../project/projection.js";
import { paint, type TextStyle } from "./columns.js";
import {
  formatBytes,
  formatDuration,
  formatInteger,
  formatLength,
  formatRate,
  formatRatio,
} from "./format.js";
import { speedupPlot } from "./speedup_plot.js";
import { type Column, renderTable } from "./text_table.js";
import { wrap } from "./wrap.js";

export interface ProjectTextStyle extends TextStyle {
  /** The terminal shows Unicode; a dumb one gets ASCII. */
  readonly unicode: boolean;
}

const definitions = [
  "prefill: from an empty context to the first token of every sequence; token: one decode step, a token for each",
  "memory: weights, KV cache and state of the batch, on each device; ±: where nine of ten times should lie (docs/project.md)",
];

/** The report of one model, without a newline at the end. */
export function projectText(
  projection: Projection,
  hardwareName: string,
  style: ProjectTextStyle,
  options: { readonly breakdown: boolean },
): string {
  const { batch, types, tensorParallel, crossoverContext } = projection;
  const devices = tensorParallel === 1 ? "" : `${tensorParallel} x `;
  const title = `${paint(projection.name, "bold", style)} on ${devices}${hardwareName}, batch ${formatInteger(batch)}`;
  const memory = [
    `weights ${formatBytes(projection.weightBytes)} (${types.weights})`,
    `KV cache ${formatBytes(projection.kvBytesPerToken)} per token (${types.cache})`,
    `state ${formatBytes(projection.stateBytesPerSequence)} per sequence (${types.state})`,
  ].join(", ");
  const sections = [
    `${title}\n  ${memory}${tensorParallel === 1 ? "" : ", on each device"}`,
    pointTable(projection, style),
    ...(options.breakdown ? [breakdownTable(projection, style)] : []),
    ...(projection.speedups === undefined || projection.speedups.length < 3
      ? []
      : [speedupPlot([projection], style)]),
    ...(crossoverContext === undefined ? [] : [crossoverText(projection)]),
  ];
  return sections.map((section, i) => (i === 0 ? section : indent(section))).join("\n\n");
}

/** What all results of one command take for granted, and what the columns mean; for people, broken to `width`. */
export function projectFooter(projections: readonly Projection[], width: number): string {
  const sentences = new Set(projections.flatMap(({ assumptions }) => assumptions));
  const lines = [...sentences].map((sentence) => `assumes: ${sentence}`);
  return [...lines, ...definitions].flatMap((line) => wrap(line, width, "  ")).join("\n");
}

function crossoverText({ name, baseline, crossoverContext }: Projection): string {
  if (crossoverContext === null) return `${name} is not faster than ${baseline} at any context up to 16M`;
  if (crossoverContext === 1) return `${name} is faster than ${baseline} at every context`;
  return `${name} is faster than ${baseline} from ${formatInteger(crossoverContext!)} tokens on`;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}

const band = (value: number, high: number): string => `±${Math.round((high / value - 1) * 100)}%`;

function pointTable(projection: Projection, style: TextStyle): string {
  const compared = projection.baseline !== undefined;
  const right = (title: string, dropOrder: number, name = title): Column => {
    return { title, name, align: "right", dropOrder };
  };
  const columns: readonly Column[] = [
    right("context", 0),
    right("prefill", 0),
    right("±", 5, "± of prefill"),
    right("token", 0),
    right("±", 4, "± of token"),
    right("tokens/s", 2),
    right("memory", 1),
    right("KV + state", 6),
    right("largest batch", 3),
    ...(compared ? [right("speed-up", 0), right("from - to", 7, "band of speed-up")] : []),
  ];
  const rows = projection.points.map((point) => ({
    cells: [
      formatLength(point.context),
      formatDuration(point.prefillSeconds),
      band(point.prefillSeconds, point.prefillBand[1]),
      formatDuration(point.decodeTokenSeconds),
      band(point.decodeTokenSeconds, point.decodeBand[1]),
      formatRate(point.tokensPerSecond),
      `${formatBytes(point.totalBytes)}${point.fits ? "" : " (too much)"}`,
      formatBytes(point.kvBytes + point.stateBytes),
      point.maxBatch === 0 ? "none" : formatInteger(point.maxBatch),
      ...(compared ? [formatRatio(point.speedup!), spread(point)] : []),
    ],
    ...(point.fits ? {} : { style: "dim" as const }),
  }));
  return renderTable(columns, rows, { ...style, width: style.width - 2 });
}

function spread({ speedupBand }: ProjectionPoint): string {
  return speedupBand!.map((end) => formatRatio(end)).join(" - ");
}

/** Where the time of a decode step goes, at the longest context. */
function breakdownTable(projection: Projection, style: TextStyle): string {
  const point = projection.points.at(-1)!;
  const columns: readonly Column[] = [
    { title: `decode at ${formatLength(point.context)}`, align: "left", dropOrder: 0 },
    { title: "calls", align: "right", dropOrder: 0 },
    { title: "time", align: "right", dropOrder: 0 },
    { title: "share", align: "right", dropOrder: 0 },
    { title: "utilisation", align: "right", dropOrder: 0 },
    { title: "±", align: "right", dropOrder: 0 },
    { title: "from", align: "left", dropOrder: 0 },
  ];
  const rows = point.operations.decode.map((share) => ({
    cells: [
      share.kind,
      formatInteger(share.calls),
      formatDuration(share.seconds),
      `${((100 * share.seconds) / point.decodeTokenSeconds).toFixed(1)}%`,
      share.utilization === 0 ? "-" : `${Math.round(100 * share.utilization)}%`,
      `±${Math.round(100 * share.error)}%`,
      share.provenance,
    ],
  }));
  return renderTable(columns, rows, style);
}

/** Candidates of a sweep side by side: time of a token, and speed-up where there is a baseline, at every context. */
export function candidatesTable(projections: readonly Projection[], style: TextStyle): string {
  const [first] = projections;
  const compared = first!.baseline !== undefined;
  const columns: readonly Column[] = [
    { title: "candidate", align: "left", dropOrder: 0 },
    { title: "KV/token", align: "right", dropOrder: 1 },
    { title: "state", align: "right", dropOrder: 2 },
    // The longest context says most about a mix, and stays; the others make room, speed-ups first.
    ...first!.points.flatMap(({ context }, i): Column[] => {
      const at = formatLength(context);
      const [align, last] = ["right" as const, i === first!.points.length - 1];
      const speedUp = { title: "speed-up", name: `speed-up at ${at}`, align, dropOrder: last ? 3 : 200 - i };
      return [
        { title: `token at ${at}`, align, dropOrder: last ? 0 : 100 - i },
        ...(compared ? [speedUp] : []),
      ];
    }),
  ];
  const rows = projections.map((projection) => ({
    cells: [
      projection.name,
      formatBytes(projection.kvBytesPerToken),
      formatBytes(projection.stateBytesPerSequence),
      ...projection.points.flatMap((point) => [
        `${formatDuration(point.decodeTokenSeconds)}${point.fits ? "" : " !"}`,
        ...(compared ? [formatRatio(point.speedup!)] : []),
      ]),
    ],
  }));
  const crowded = projections.some(({ points }) => points.some(({ fits }) => !fits));
  const note = crowded ? "\n! does not fit at this batch" : "";
  return renderTable(columns, rows, style) + note;
}
