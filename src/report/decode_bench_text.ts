// The table of `layermix bench decode`.

import { formatBytes, formatDuration, formatLength, formatRate } from "./format.js";
import { type Column, renderTable, type TableOptions } from "./text_table.js";

interface Point {
  readonly context: number;
  readonly batch: number;
  readonly prefillSeconds: number | null;
  readonly decodeTokenSeconds: number;
  readonly tokensPerSecond: number;
  readonly totalBytes: number;
}

const columns: readonly Column[] = ["context", "batch", "prompt", "token", "tokens/s", "memory"].map(
  (title) => ({
    title,
    align: "right",
    dropOrder: 0,
  }),
);

/** One row per context and batch. */
export function decodeBenchText(points: readonly Point[], options: TableOptions): string {
  const rows = points.map((point) => ({
    cells: [
      formatLength(point.context),
      String(point.batch),
      point.prefillSeconds === null ? "-" : formatDuration(point.prefillSeconds),
      formatDuration(point.decodeTokenSeconds),
      formatRate(point.tokensPerSecond),
      formatBytes(point.totalBytes),
    ],
  }));
  return renderTable(columns, rows, options);
}
