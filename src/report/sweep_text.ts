// The candidates of a sweep as a table, and what was dropped, with the reasons.

import { builtInKinds, type LayerKind } from "../block/layer_kinds.js";
import type { DroppedCandidate } from "../plan/plan_types.js";
import { columns, paint, type TextStyle } from "./columns.js";
import { counted, formatBytes, formatCount, formatFlops } from "./format.js";
import type { PlannedModel } from "./plan_json.js";
import { type Column, renderTable } from "./text_table.js";

/** Rows that a person can still read; --json has them all. */
const longestTable = 200;

/** Candidates in their order, then the dropped points, then the notes that are not the same for all. */
export function sweepText(
  candidates: readonly PlannedModel[],
  dropped: readonly DroppedCandidate[],
  style: TextStyle,
): string {
  const parts = [candidateTable(candidates, style)];
  if (candidates.length > longestTable)
    parts.push(`... and ${candidates.length - longestTable} more (--json lists all)`);
  const notes = candidates
    .slice(0, longestTable)
    .flatMap(({ name, plan }) =>
      plan.notes.filter(({ code }) => code !== "LMX2101").map(({ message }) => `${name}: ${message}`),
    );
  if (notes.length > 0) parts.push(notes.join("\n"));
  if (dropped.length > 0) parts.push(droppedList(dropped, style));
  return parts.join("\n\n");
}

/** Where the terminal is narrow, memory gives way first, then the width, then the cost of training. */
function candidateTable(candidates: readonly PlannedModel[], style: TextStyle): string {
  const listed = new Map(candidates.flatMap(({ plan }) => plan.kinds.map((kind) => [kind.name, kind])));
  const place = ({ block }: LayerKind) => builtInKinds.findIndex(({ name }) => name === block.kind);
  const kinds = [...listed.values()]
    .filter(({ name }) => candidates.some(({ plan }) => (plan.counts[name] ?? 0) > 0))
    .sort((a, b) => place(a) - place(b));
  const number = (title: string, dropOrder: number): Column => ({ title, align: "right", dropOrder });
  const head: readonly Column[] = [
    {
      title: counted(candidates.length, "candidate"),
      align: "left",
      dropOrder: 0,
    },
    ...kinds.map(({ symbol }) => number(symbol, 0)),
    number("hidden", 2),
    number("parameters", 0),
    number("train/token", 1),
    number("memory", 3),
    number("KV/token", 4),
    number("state", 5),
  ];
  const rows = candidates.slice(0, longestTable).map(({ name, plan, cost }) => ({
    cells: [
      name,
      ...kinds.map(({ name: kind }) => String(plan.counts[kind] ?? 0)),
      String(plan.hidden),
      formatCount(cost.params.total),
      formatFlops(cost.flops.trainPerToken),
      formatBytes(cost.memory.training.total),
      formatBytes(cost.memory.kvBytesPerToken),
      formatBytes(cost.memory.stateBytesPerSequence),
    ],
  }));
  return renderTable(head, rows, style);
}

function droppedList(dropped: readonly DroppedCandidate[], style: TextStyle): string {
  const shown = dropped.slice(0, longestTable).map(({ name, reason }) => [name, reason]);
  const more =
    dropped.length > longestTable ? `\n... and ${dropped.length - longestTable} more (--json lists all)` : "";
  return `${paint(`${dropped.length} dropped`, "dim", style)}\n${columns(shown, ["left", "left"])}${more}`;
}
