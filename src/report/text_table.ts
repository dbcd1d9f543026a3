// Tables for a terminal: a header, a rule, columns two spaces apart, numbers to the right. Columns that the width has no
// room for are left out, least important first, and a last line names them.

import { styleText } from "node:util";
import Table from "cli-table3";
import { displayWidth, printable } from "../diag/display_width.js";

export interface Column {
  readonly title: string;
  /** What it is called where it is left out, when its title says too little alone. */
  readonly name?: string;
  readonly align: "left" | "right";
  /** 0 stays whatever the width; of the others, the highest number goes first. */
  readonly dropOrder: number;
}

export type CellStyle = "green" | "red" | "yellow" | "dim";

export interface Row {
  readonly cells: readonly string[];
  readonly style?: CellStyle;
}

export interface TableOptions {
  /** Terminal columns; the columns that stay may still be wider. */
  readonly width: number;
  readonly color: boolean;
}

const gap = 2;

/** The table without a final newline. */
export function renderTable(columns: readonly Column[], rows: readonly Row[], options: TableOptions): string {
  const safe = rows.map((row) => ({ ...row, cells: row.cells.map(printable) }));
  const widths = columns.map((column, i) =>
    Math.max(displayWidth(column.title), ...safe.map((row) => displayWidth(row.cells[i]!))),
  );
  const kept = keepColumns(columns, widths, options.width);
  const table = new Table({
    head: kept.map((i) => columns[i]!.title),
    colAligns: kept.map((i) => columns[i]!.align),
    chars: {
      ...{ top: "", "top-mid": "", "top-left": "", "top-right": "" },
      ...{ bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
      ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "" },
      middle: " ".repeat(gap),
    },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  const paint = (style: CellStyle | undefined, text: string) =>
    options.color && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
  table.push(...safe.map((row) => kept.map((i) => paint(row.style, row.cells[i]!))));
  const lines = table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
  const total = kept.reduce((sum, i) => sum + widths[i]!, gap * (kept.length - 1));
  lines.splice(1, 0, "-".repeat(total));
  const left = columns.filter((_, i) => !kept.includes(i)).map(({ name, title }) => name ?? title);
  if (left.length > 0) lines.push(`no room for ${left.join(", ")}: widen the terminal, or use --json`);
  return lines.join("\n");
}

function keepColumns(
  columns: readonly Column[],
  widths: readonly number[],
  width: number,
): readonly number[] {
  let kept = columns.map((_, i) => i);
  const total = () => kept.reduce((sum, i) => sum + widths[i]!, gap * (kept.length - 1));
  while (total() > width) {
    const next = Math.max(...kept.map((i) => columns[i]!.dropOrder));
    if (next === 0) break;
    kept = kept.filter((i) => columns[i]!.dropOrder !== next);
  }
  return kept;
}
