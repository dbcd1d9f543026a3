// JSONL: one JSON object per line, the document in one of its fields; plain or compressed. Empty lines are skipped; any
// other line that is not such an object is an error with its line and column.

import { JsonSyntaxError, parseStrictJson } from "../interop/strict_json.js";
import { corpusError } from "./corpus_error.js";
import { fileChunks } from "./file_chunks.js";
import type { WindowFile } from "./window_file.js";

/** Lines longer than this are no documents but a file without newlines. */
const mostLineBytes = 256 << 20;
const newline = 0x0a;

/** The documents in order. Throws LMX7023 (line), LMX7029 (compression), LMX7004. */
export async function* jsonlDocuments(file: WindowFile, field: string): AsyncGenerator<string> {
  let number = 0;
  for await (const bytes of lines(file)) {
    number += 1;
    const line = new TextDecoder("utf-8", { fatal: true });
    let text: string;
    try {
      text = line.decode(bytes);
    } catch (cause) {
      throw badLine(file, number, 1, "Expected UTF-8, got other bytes", { cause });
    }
    if (text.trim() === "") continue;
    yield documentOf(file, number, text, field);
  }
}

function documentOf(file: WindowFile, number: number, text: string, field: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badLine(
      file,
      number,
      columnOf(text),
      `Expected a JSON object, got: ${(cause as Error).message.slice(0, 120)}`,
      { cause },
    );
  }
  const found =
    typeof value === "object" && value !== null && Object.hasOwn(value, field)
      ? (value as Readonly<Record<string, unknown>>)[field]
      : undefined;
  if (typeof found === "string") return found;
  const got =
    found !== undefined
      ? `${field}: ${JSON.stringify(found).slice(0, 60)}`
      : typeof value === "object" && value !== null && !Array.isArray(value)
        ? `the fields ${Object.keys(value).slice(0, 8).join(", ") || "of {}"}`
        : text.trim().slice(0, 60);
  throw badLine(file, number, 1, `Expected an object with a text in ${JSON.stringify(field)}, got ${got}`, {
    help: "`field` names the field of the text",
  });
}

/** Where a text stops being JSON: JSON.parse says it on some versions of Node.js only. */
function columnOf(text: string): number {
  try {
    parseStrictJson(text, { maxDepth: 1000 });
    return 1;
  } catch (error) {
    return error instanceof JsonSyntaxError ? error.index + 1 : 1;
  }
}

/** Bytes between newlines. */
async function* lines(file: WindowFile): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let number = 1;
  for await (const window of fileChunks(file)) {
    let from = 0;
    for (let to = window.indexOf(newline); to >= 0; to = window.indexOf(newline, from)) {
      parts.push(window.subarray(from, to));
      yield parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      parts = [];
      length = 0;
      number += 1;
      from = to + 1;
    }
    if (from < window.length) {
      parts.push(window.slice(from)); // the window is reused
      length += window.length - from;
    }
    if (length > mostLineBytes)
      throw badLine(file, number, 1, "Expected lines of at most 256 MiB, got a longer one");
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

function badLine(
  file: WindowFile,
  line: number,
  column: number,
  message: string,
  more: { readonly cause?: unknown; readonly help?: string } = {},
): Error {
  const { cause, help = "JSONL has one JSON object per line; `format` names another format" } = more;
  return corpusError("LMX7023", `${message} in line ${line} of ${file.name}`, [help], {
    position: { file: file.name, line, column },
    cause,
  });
}
