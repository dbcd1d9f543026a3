// A planned model for the terminal: the pattern strip, layers with shares asked and got, parameters, FLOPs,
// training memory, inference state, and the notes of the plan.

import { blocks } from "../block/registry.js";
import type { EstimateOptions } from "../estimate/estimate.js";
import { columns, type Paint, paint, type TextStyle } from "./columns.js";
import { formatBytes, formatCount, formatFlops, formatInteger, formatShare } from "./format.js";
import type { PlannedModel } from "./plan_json.js";

const kindPaint: Readonly<Record<string, Paint>> = { mamba2: "cyan", attention: "yellow", mlp: "dim" };
const stripGroup = 8;

/** The whole report of one model, without a newline at the end. */
export function planText(model: PlannedModel, options: EstimateOptions, style: TextStyle): string {
  const { name, plan, cost } = model;
  const depth = plan.layers.length;
  const size = `${depth} layer${depth === 1 ? "" : "s"}, hidden ${plan.hidden}, vocabulary ${formatInteger(plan.vocab)}`;
  const title = `${paint(name, "bold", style)}  ${size}, ${formatInteger(cost.params.total)} parameters`;
  const sections = [
    patternStrip(plan.pattern, style),
    layerTable(model, style),
    flopsTable(model, style),
    trainingTable(model, options, style),
    inferenceTable(model, style),
    ...(plan.notes.length === 0 ? [] : [plan.notes.map(({ message }) => `note: ${message}`).join("\n")]),
  ];
  return [title, ...sections.map(indent)].join("\n\n");
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}

/**
 * The pattern in groups of eight layers, coloured by kind, with the index of each line's first layer when
 * there are several.
 */
export function patternStrip(pattern: string, style: TextStyle): string {
  const kinds = new Map(blocks.map((block) => [block.symbol, block.kind]));
  const groups: string[] = [];
  for (let start = 0; start < pattern.length; start += stripGroup) {
    const symbols = [...pattern.slice(start, start + stripGroup)];
    groups.push(
      symbols.map((symbol) => paint(symbol, kindPaint[kinds.get(symbol) ?? ""] ?? "bold", style)).join(""),
    );
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
  for (const { kind, symbol } of blocks) {
    const count = plan.counts[kind] ?? 0;
    const share = plan.mix?.[kind] ?? 0;
    if (count === 0 && share === 0) continue;
    const label = `${paint(symbol, kindPaint[kind] ?? "bold", style)} ${kind}`;
    rows.push([
      label,
      ...cells(String(count), formatShare(count / depth), formatShare(share)),
      formatCount(params.byKind[kind] ?? 0),
    ]);
  }
  const head = plan.tieEmbeddings ? "final norm" : "final norm, head";
  rows.push([
    plan.tieEmbeddings ? "  embedding (tied)" : "  embedding",
    ...cells("", "", ""),
    formatCount(params.embedding),
  ]);
  rows.push([`  ${head}`, ...cells("", "", ""), formatCount(params.byKind.other ?? 0)]);
  rows.push([paint("  total", "bold", style), ...cells(String(depth), "", ""), formatCount(params.total)]);
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
      ["training, as Megatron counts", formatFlops(flops.megatronTrain)],
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
      ["state per sequence", formatBytes(cost.memory.stateBytesPerSequence)],
    ],
    ["left", "right"],
  );
}
