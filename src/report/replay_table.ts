// What strategies would have spent and found on a finished study, as a table.

import type { ReplayedSpec, ReplayRow } from "../search/replay_study.js";
import { counted, formatCount, formatShare } from "./format.js";
import { type Column, renderTable, type TableOptions } from "./text_table.js";

const columns: readonly Column[] = [
  { title: "strategy", align: "left", dropOrder: 0 },
  { title: "tokens", align: "right", dropOrder: 0 },
  { title: "of all", align: "right", dropOrder: 0 },
  { title: "regret", align: "right", dropOrder: 0 },
  { title: "worst", align: "right", dropOrder: 2 },
  { title: "best found", align: "right", dropOrder: 0 },
  { title: "top 3 found", align: "right", dropOrder: 1 },
];

export function replayTable(rows: readonly ReplayRow[], options: TableOptions): string {
  const cells = rows.map((row) => ({
    cells: [
      strategyName(row.spec),
      formatCount(row.tokens),
      percent(row.share),
      row.regret.mean.toPrecision(3),
      row.regret.worst.toPrecision(3),
      percent(row.foundBest),
      percent(row.top3),
    ],
  }));
  return renderTable(columns, cells, options);
}

/** "asha, 3 rungs, keep 33.33%, 9 trials". */
export function strategyName(spec: ReplayedSpec): string {
  const trials = "trials" in spec && spec.trials !== undefined ? `, ${counted(spec.trials, "trial")}` : "";
  if (spec.kind !== "halving" && spec.kind !== "asha") return `${spec.kind}${trials}`;
  return `${spec.kind}, ${spec.rungs} rungs, keep ${formatShare(spec.keep)}${trials}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}
