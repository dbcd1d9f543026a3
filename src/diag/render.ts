// Diagnostics as text, in the shape that rustc made familiar:
//
//   error[LMX1203]: Shares of model.mix must total 100%, got 107%
//     --> study.yaml:5:8
//      |
//    5 |   mix: { mamba2: 50%, attention: 7%, mlp: 50% }
//      |        ^^^^^^^^^^^^^
//      = help: 7% too much; lower one of the shares

import { styleText } from "node:util";
import type { Diagnostic, SourcePosition } from "./diagnostic.js";
import { displayWidth, printable } from "./display_width.js";

export interface RenderOptions {
  readonly color: boolean;
  /** Most diagnostics shown; the rest is counted. */
  readonly limit?: number;
  /** Columns of the terminal: longer lines of a file are cut to fit, messages are not; 110 by default. */
  readonly width?: number;
}

type Style = (format: Parameters<typeof styleText>[0], text: string) => string;

const widestFrame = 110;
/** What a frame shows of a line, however narrow the terminal. */
const shortestLine = 20;
const tab = "    ";

/** First column to show, so that the marked part of a long line stays visible. UTF-16 units. */
function firstVisible(line: string, column: number, width: number): number {
  if (line.length <= width) return 0;
  return Math.max(0, Math.min(column - 1 - Math.floor(width / 3), line.length - width));
}

/** Moves a cut out of the middle of a surrogate pair. */
function wholeCharacter(line: string, at: number): number {
  return at > 0 && at < line.length && /[\udc00-\udfff]/.test(line[at]!) ? at - 1 : at;
}

function showText(text: string): string {
  return printable(text).replaceAll("\t", tab);
}

function renderFrame(position: SourcePosition, style: Style, width: number): string[] {
  const excerpt = position.excerpt;
  if (excerpt === undefined) return [];
  const lastLine = excerpt.firstLine + excerpt.lines.length - 1;
  const gutterWidth = String(lastLine).length;
  // Beside the gutter of " 12 | ", a cut line has dots at both ends.
  const shownWidth = Math.max(shortestLine, width - gutterWidth - 6);
  const gutter = (label: string) => style("blue", ` ${label.padStart(gutterWidth)} |`);
  const rows = [gutter("")];
  excerpt.lines.forEach((line, index) => {
    const number = excerpt.firstLine + index;
    // Only the marked line scrolls; those around it are shown from their beginning.
    const first = number === position.line ? firstVisible(line, position.column, shownWidth) : 0;
    const start = wholeCharacter(line, first);
    const end = wholeCharacter(line, Math.min(first + shownWidth, line.length));
    const shown = showText(line.slice(start, end));
    const clipped = `${start > 0 ? "…" : ""}${shown}${line.length > end ? "…" : ""}`;
    rows.push(`${gutter(String(number))} ${clipped}`.trimEnd());
    if (number !== position.line) return;
    const from = Math.min(Math.max(position.column - 1, start), end);
    const to = Math.min(Math.max(position.endColumn ?? position.column + 1, position.column + 1) - 1, end);
    const indent = displayWidth(showText(line.slice(start, from))) + (start > 0 ? 1 : 0);
    const carets = Math.max(1, displayWidth(showText(line.slice(from, to))));
    rows.push(`${gutter("")} ${" ".repeat(indent)}${style("red", "^".repeat(carets))}`);
  });
  return rows;
}

function renderOne(diagnostic: Diagnostic, style: Style, width: number): string {
  const color = diagnostic.severity === "error" ? "red" : "yellow";
  const head = style(["bold", color], `${diagnostic.severity}[${diagnostic.code}]`);
  const rows = [`${head}${style("bold", `: ${showText(diagnostic.message)}`)}`];
  const position = diagnostic.position;
  const gutterWidth =
    position?.excerpt === undefined
      ? 1
      : String(position.excerpt.firstLine + position.excerpt.lines.length - 1).length;
  const indent = " ".repeat(gutterWidth + 2);
  if (position !== undefined) {
    const place = `${printable(position.file)}:${position.line}:${position.column}`;
    rows.push(`${indent.slice(1)}${style("blue", "-->")} ${place}`, ...renderFrame(position, style, width));
  }
  for (const help of diagnostic.help) rows.push(`${indent}${style("blue", "=")} help: ${showText(help)}`);
  return rows.join("\n");
}

/** All diagnostics as one text, blank lines between them, no trailing newline. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], options: RenderOptions): string {
  const style: Style = (format, text) => (options.color ? styleText(format, text) : text);
  const { limit = 20 } = options;
  const width = Math.min(options.width ?? widestFrame, widestFrame);
  const blocks = diagnostics.slice(0, limit).map((diagnostic) => renderOne(diagnostic, style, width));
  if (diagnostics.length > limit) blocks.push(`and ${diagnostics.length - limit} more`);
  return blocks.join("\n\n");
}
