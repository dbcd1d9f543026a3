// A planned model for the terminal: the pattern strip, layers with shares asked and got, parameters, FLOPs,
// training memory, inference state, and the notes of the plan.

import type { LayerRole } from "../block/block.js";
import { builtInKinds, type LayerKind } from "../block/layer_kinds.js";
import type { EstimateOptions } from "../estimate/estimate.js";
import { nativeGaps } from "../plan/native_model.js";
import { columns, type Paint, paint, type TextStyle } from "./columns.js";
import { counted, formatBytes, formatCount, formatFlops, formatInteger, formatShare } from "./format.js";
import type { PlannedModel } from "./plan_json.js";
import { wrap } from "./wrap.js";

const rolePaint: Readonly<Record<LayerRole, Paint>> = {
  recurrent: "cyan",
  attention: "yellow",
  feed_forward: "dim",
};
const stripGroup = 8;

/** The whole report of one model, without a newline at the end. */
export function planText(model: PlannedModel, options: EstimateOptions, style: TextStyle): string {
  const { name, plan, cost } = model;
  const depth = plan.layers.length;
  const size = `${counted(depth, "layer")}, hidden ${plan.hidden}, vocabulary ${formatInteger(plan.vocab)}`;
  const { total, active } = cost.params;
  const visited = active === total ? "" : ` (${formatInteger(active)} active)`;
  const title = `${paint(name, "bold", style)}  ${size}, ${formatInteger(total)} parameters${visited}`;
  const notes = [...plan.notes.map(({ message }) => message), ...plannedOnly(model)];
  const sections = [
    patternStrip(plan.pattern, style, plan.kinds),
    layerTable(model, style),
    flopsTable(model, style),
    trainingTable(model, options, style),
    inferenceTable(model, style),
    ...(notes.length === 0
      ? []
      : [notes.flatMap((message) => wrap(`note: ${message}`, style.width - 2, "  ")).join("\n")]),
  ];
  return [title, ...sections.map(indent)].join("\n\n");
}

/** What the reader would otherwise find out from a sweep that is refused. */
function plannedOnly({ plan }: PlannedModel): readonly string[] {
  const gaps = nativeGaps(plan);
  return gaps.length === 0 ? [] : [`planned only, the native library does not run them: ${gaps.join(", ")}`];
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}

/**
 * The pattern in groups of eight layers, coloured by kind, with the index of each line's first layer when
 * there are several.
 */
export function patternStrip(
  pattern: string,
  style: TextStyle,
  kinds: readonly LayerKind[] = builtInKinds,
): string {
  const roles = new Map(kinds.map(({ symbol, block }) => [symbol, block.role]));
  const paintOf = (symbol: string): Paint => rolePaint[roles.get(symbol) ?? "recurrent"];
  const groups: string[] = [];
  for (let start = 0; start < pattern.length; start += stripGroup) {
    const symbols = [...pattern.slice(start, start + stripGroup)];
    groups.push(symbols.map((symbol) => paint(symbol, paintOf(symbol), style)).join(""));
  }
  const perLine = Math.max(1, Math.floor((style.width - 10) / (stripGroup + 1)));
  if (groups.length <= perLine) return groups.join(" ");
  const lines: string[] = [];
  const digits = String(pattern.length).length;
  for (let first = 0; first < groups.length; first += perLine) {
    const index = String(first * stripGroup).padStart(digits);
    lines.push(`${paint(index, "dim", style)}  ${groups.slice(first, first + perLine).join(" ")}`);
  }
  return lines.join("\n");
}

function layerTable({ plan, cost }: PlannedModel, style: TextStyle): string {
  const { params } = cost;
  const dim = (text: string) => paint(text, "dim", style);
  const depth = plan.layers.length;
  const asked = plan.mix !== undefined;
  const cells = (layers: string, share: string, wanted: string) => [
    layers,
    share,
    ...(asked ? [wanted] : []),
  ];
  const rows: string[][] = [["layers", ...cells("", "share", "asked"), "parameters"].map(dim)];
  for (const { name, symbol, block } of plan.kinds) {
    const count = plan.counts[name] ?? 0;
    const share = plan.mix?.[name] ?? 0;
    const label = `${paint(symbol, rolePaint[block.role], style)} ${name}`;
    rows.push([
      label,
      ...cells(String(count), formatShare(count / depth), formatShare(share)),
      formatCount(params.byKind[name] ?? 0),
    ]);
  }
  const rest = ["final norm"];
  if (!plan.tieEmbeddings || plan.headBias === true) rest.push("head");
  if ((plan.metaTokens ?? 0) > 0) rest.push("meta tokens");
  rows.push([
    plan.tieEmbeddings ? "  embedding (tied)" : "  embedding",
    ...cells("", "", ""),
    formatCount(params.embedding),
  ]);
  rows.push([`  ${rest.join(", ")}`, ...cells("", "", ""), formatCount(params.byKind.other ?? 0)]);
  rows.push([paint("  total", "bold", style), ...cells(String(depth), "", ""), formatCount(params.total)]);
  if (params.active !== params.total)
    rows.push(["  active per token", ...cells("", "", ""), formatCount(params.active)]);
  return columns(rows, ["left", ...rows[0]!.slice(1).map(() => "right" as const)]);
}

function flopsTable({ cost }: PlannedModel, style: TextStyle): string {
  const { flops } = cost;
  const heading = `FLOPs of ${formatInteger(flops.batch)} x ${formatInteger(flops.sequence)} tokens`;
  return columns(
    [
      [paint(heading, "dim", style), ""],
      ["forward", formatFlops(flops.forward)],
      ["training, exact", formatFlops(flops.train)],
      ["training, per token", formatFlops(flops.trainPerToken)],
      ["training, as Megatron counts", flops.megatronTrain === null ? "-" : formatFlops(flops.megatronTrain)],
    ],
    ["left", "right"],
  );
}

function trainingTable({ cost }: PlannedModel, options: EstimateOptions, style: TextStyle): string {
  const { training } = cost.memory;
  const micro = options.microBatch === undefined ? "" : `, ${options.microBatch} sequences at a time`;
  return columns(
    [
      [paint(`training memory, ${options.precision}${micro}`, "dim", style), ""],
      [
        options.precision === "bf16" ? "weights, with fp32 masters" : "weights",
        formatBytes(training.weights),
      ],
      ["gradients", formatBytes(training.gradients)],
      ["optimizer (AdamW)", formatBytes(training.optimizer)],
      ["activations", formatBytes(training.activations)],
      [paint("total", "bold", style), formatBytes(training.total)],
    ],
    ["left", "right"],
  );
}

function inferenceTable({ cost }: PlannedModel, style: TextStyle): string {
  return columns(
    [
      [paint("inference memory, 16 bits", "dim", style), ""],
      ["KV cache per token", formatBytes(cost.memory.kvBytesPerToken)],
      ...(cost.memory.windowBytesPerSequence === 0
        ? []
        : [["KV cache of full windows", formatBytes(cost.memory.windowBytesPerSequence)]]),
      ["state per sequence", formatBytes(cost.memory.stateBytesPerSequence)],
    ],
    ["left", "right"],
  );
}
