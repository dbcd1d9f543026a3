// A task for people: what it measures, its options with defaults, where it comes from, an example row, and the lines to
// put into a study file.

import { expectation, resolveTaskOptions, type TaskOption } from "../task/options.js";
import type { TaskKind } from "../task/task.js";
import { renderTable } from "./text_table.js";
import { wrap } from "./wrap.js";

/** Sequence and options of the example: small enough to read. */
const exampleSequence = 96;
const exampleOptions: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  recall: { pairs: 6, vocab: 64 },
  copy: { tokens_to_copy: 6 },
  phonebook: { entries: 4, digits: 7, questions: 2 },
};

/** `data` of `layermix task show --json`. */
export function taskData(kind: TaskKind): unknown {
  const { name, title, measures, primary, options, source } = kind;
  return { name, title, measures, primary, options, source, example: exampleOf(kind) ?? null };
}

/** The whole text, wrapped to `width` columns. */
export function renderTask(kind: TaskKind, width: number): string {
  const columns = ["option", "default", "value"].map((title) => ({
    title,
    align: "left" as const,
    dropOrder: 0,
  }));
  const rows = kind.options.map((option) => ({
    cells: [option.name, defaultText(option), expectation(option)],
  }));
  const table = renderTable(columns, rows, { width, color: false });
  const meaning = kind.options.flatMap((option) =>
    wrap(`${option.name}: ${option.description}`, width, "  "),
  );
  const example = exampleOf(kind);
  return [
    `${kind.name}: ${kind.title}`,
    "",
    ...wrap(kind.measures, width),
    `Judged by ${kind.primary.title}, ${kind.primary.direction} is better.`,
    "",
    table,
    "",
    ...meaning,
    "",
    "Source",
    ...kind.source.flatMap((line) => wrap(`- ${line}`, width, "  ")),
    ...(example === undefined
      ? []
      : ["", "Example", ...example.flatMap((line) => wrap(line, width, "  ", "  "))]),
    "",
    "In a study file",
    "  proxy:",
    "    tasks:",
    `      - ${snippet(kind)}`,
  ].join("\n");
}

function exampleOf(kind: TaskKind): readonly string[] | undefined {
  const { options } = resolveTaskOptions(kind.options, exampleOptions[kind.name] ?? {});
  return kind.example?.(options, exampleSequence);
}

function snippet(kind: TaskKind): string {
  const fields = kind.options
    .slice(0, 2)
    .map((option) =>
      option.kind === "files" ? `${option.name}: ["corpus/*.txt"]` : `${option.name}: ${option.default}`,
    );
  return `{ task: ${kind.name}, ${fields.join(", ")}, weight: 1 }`;
}

function defaultText(option: TaskOption): string {
  if (option.kind === "files") return "(required)";
  if (option.kind === "text" && option.default === "") return "(none)";
  return option.kind === "share" ? `${option.default * 100}%` : String(option.default);
}
