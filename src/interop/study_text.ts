// An imported model as the text of a study file: one key a line, options of a kind on one line where they fit, comments
// that say what a kind is and what the file does not carry.

import { builtInKinds, countLayers } from "../block/layer_kinds.js";
import type { ImportedModel, RawKind } from "./imported_model.js";

/** What stands around the model in the file. */
export interface StudyFrame {
  readonly name: string;
  /** First lines, as comments: what this is, where it comes from. */
  readonly comments: readonly string[];
  /** Further sections, as text. */
  readonly sections?: string;
}

const longestLine = 110;

/** The text of the study, without editor lines. */
export function studyText(model: ImportedModel, { name, comments, sections }: StudyFrame): string {
  const carried = model.notCarried.length === 0 ? [] : ["", "Not carried (results differ, sizes do not):"];
  const head = [...comments, ...carried, ...model.notCarried.map((clause) => `- ${clause}`)];
  const counts = Object.entries(countLayers(model.pattern)).filter(([, count]) => count > 0);
  const lines = [
    ...head.flatMap((line) => wrap(line, longestLine - 2)).map((line) => `# ${line}`.trimEnd()),
    "layermix: 1",
    `name: ${name}`,
    "",
    "model:",
    `  # ${counts.map(([kind, count]) => `${count} ${kind}`).join(", ")}`,
    `  pattern: ${JSON.stringify(model.pattern)}`,
    `  hidden: ${model.hidden}`,
    `  vocab: ${model.vocab}`,
    `  tie_embeddings: ${model.tieEmbeddings}`,
    ...(model.scaling === undefined ? [] : [`  scaling: ${flow({ ...model.scaling })} # of no cost`]),
    `  norm: { kind: rmsnorm, eps: ${scalar(model.normEps)} }`,
    "  blocks:",
    ...Object.entries(model.blocks).flatMap(([kind, options]) => block(kind, options)),
  ];
  return `${lines.join("\n")}\n${sections === undefined ? "" : `\n${sections}`}`;
}

function block(kind: string, options: RawKind): readonly string[] {
  const { symbol, block: known } = builtInKinds.find(({ name }) => name === kind)!;
  const comment = `    # ${symbol}: ${known.title} (${known.source})`;
  return [comment, ...entry("    ", kind, options)];
}

/** "key: { ... }" on one line, or one option a line where that is too long. */
function entry(indent: string, key: string, value: unknown): readonly string[] {
  const line = `${indent}${key}: ${isMapping(value) ? flow(value) : scalar(value)}`;
  if (!isMapping(value) || line.length <= longestLine) return [line];
  return [
    `${indent}${key}:`,
    ...Object.entries(value).flatMap(([name, option]) => entry(`${indent}  `, name, option)),
  ];
}

function isMapping(value: unknown): value is RawKind {
  return typeof value === "object" && value !== null;
}

function flow(options: RawKind): string {
  const entries = Object.entries(options).map(
    ([key, value]) => `${key}: ${isMapping(value) ? flow(value) : scalar(value)}`,
  );
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

/** Small numbers as people write them: 1e-6, not 0.000001. */
function scalar(value: unknown): string {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  const rounded = Number(value.toPrecision(12));
  return Math.abs(rounded) < 1e-3 ? rounded.toExponential() : String(rounded);
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
