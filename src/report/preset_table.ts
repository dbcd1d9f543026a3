// The presets as tables: models with their layers and sizes, smallest first within a family of names, then studies with
// what they ask.

import { countLayers, layerKinds } from "../block/layer_kinds.js";
import { paint, type TextStyle } from "./columns.js";
import { formatBytes, formatCount } from "./format.js";
import { type Column, renderTable } from "./text_table.js";

/** What the list says of a model. */
export interface PresetSize {
  readonly pattern: string;
  readonly layers: number;
  readonly hidden: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly params: { readonly total: number; readonly active: number };
  readonly kvBytesPerToken: number;
  readonly windowBytesPerSequence: number;
  readonly stateBytesPerSequence: number;
}

/** One preset of the list. */
export interface ListedPreset {
  readonly name: string;
  readonly kind: string;
  readonly summary: string;
  /** Of models. */
  readonly size?: PresetSize;
}

/** Models, then everything else. */
export function presetTable(presets: readonly ListedPreset[], style: TextStyle): string {
  const models = presets.filter(({ size }) => size !== undefined);
  const others = presets.filter(({ size }) => size === undefined);
  return [modelTable(models, style), list(others, style)].filter((part) => part !== "").join("\n\n");
}

function modelTable(models: readonly ListedPreset[], style: TextStyle): string {
  const number = (title: string, dropOrder: number): Column => ({ title, align: "right", dropOrder });
  const head: readonly Column[] = [
    { title: "model", align: "left", dropOrder: 0 },
    { title: "layers by symbol", align: "left", dropOrder: 2 },
    number("layers", 3),
    number("hidden", 4),
    number("parameters", 0),
    number("active", 1),
    number("KV/token", 0),
    number("state", 0),
  ];
  const rows = models.map(({ name, size }) => {
    const { pattern, layers, hidden, params, kvBytesPerToken, stateBytesPerSequence } = size!;
    return {
      cells: [
        name,
        symbolCounts(pattern),
        String(layers),
        String(hidden),
        formatCount(params.total),
        params.active === params.total ? "" : formatCount(params.active),
        formatBytes(kvBytesPerToken),
        formatBytes(stateBytesPerSequence),
      ],
    };
  });
  return renderTable(head, rows, style);
}

/** "24 M, 4 *, 28 -". */
function symbolCounts(pattern: string): string {
  const counts = countLayers(pattern);
  return layerKinds({})
    .filter(({ name }) => (counts[name] ?? 0) > 0)
    .map(({ name, symbol }) => `${counts[name]} ${symbol}`)
    .join(", ");
}

function list(presets: readonly ListedPreset[], style: TextStyle): string {
  if (presets.length === 0) return "";
  const width = Math.max(...presets.map(({ name }) => name.length));
  const lines = presets.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}`);
  return [paint("study", "dim", style), ...lines].join("\n");
}
