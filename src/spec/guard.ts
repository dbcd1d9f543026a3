// What is checked before YAML is parsed: size, encoding, control characters, number of tokens and nesting. Deep nesting can exhaust the
// stack of a YAML parser and abort the process, so it is bounded on the tokens, which are produced without recursion.

import { Lexer } from "yaml";
import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import { SourceText, type TextRange } from "./source_text.js";

export const maxFileBytes = 1024 * 1024;
export const maxDepth = 64;
/** YAML tokens: keys, values, punctuation, runs of spaces. A large study file has a few thousand. */
export const maxTokens = 100_000;

export type Guarded = { readonly source: SourceText } | { readonly problem: Diagnostic };

function problem(
  source: SourceText,
  range: TextRange,
  code: DiagnosticCode,
  message: string,
  help: string[],
): Guarded {
  return { problem: { code, severity: "error", message, help, position: source.positionOf(range) } };
}

const atStart: TextRange = { start: 0, end: 1 };

/** Bytes as text: at most 1 MiB, UTF-8 with or without a byte order mark, no control characters. */
export function decodeSource(file: string, bytes: Uint8Array): Guarded {
  if (bytes.length > maxFileBytes) {
    const megabytes = (bytes.length / maxFileBytes).toFixed(1);
    return problem(
      new SourceText(file, ""),
      atStart,
      "LMX1002",
      `Expected at most 1 MiB, got ${megabytes} MiB`,
      ["a study file holds settings only; name data files in proxy.tasks"],
    );
  }
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  try {
    if (utf16) throw new TypeError("UTF-16");
    return checkText(file, new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // The invalid bytes are shown as U+FFFD, at the place of the first one.
    const source = new SourceText(file, utf16 ? "" : new TextDecoder().decode(bytes));
    const at = Math.max(0, source.text.indexOf("\ufffd"));
    const got = utf16 ? "UTF-16" : "bytes that are not UTF-8";
    return problem(source, { start: at, end: at + 1 }, "LMX1003", `Expected UTF-8 text, got ${got}`, [
      "save the file as UTF-8",
    ]);
  }
}

/** The same for text that is decoded already (stdin, tests). */
export function checkText(file: string, text: string): Guarded {
  const source = new SourceText(file, text.replace(/^\ufeff/, ""));
  if (Buffer.byteLength(source.text) > maxFileBytes) {
    return problem(source, atStart, "LMX1002", "Expected at most 1 MiB, got more", []);
  }
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u0084\u0086-\u009f\ufeff]/.exec(
    source.text,
  );
  if (control !== null) {
    const point = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    const range = { start: control.index, end: control.index + 1 };
    return problem(source, range, "LMX1014", `Expected text, got the control character U+${point}`, [
      "remove it; is this really a study file?",
    ]);
  }
  return checkTokens(source);
}

/** Token starts that do not begin a node. */
const neutralTokens = /^[ \t\n#\u0002\u0018\u001f]/;

/**
 * Bounds the number of tokens, and the nesting: open brackets, plus the number of distinct columns at which the
 * enclosing block collections start ("- - - x" opens three). The bound is an upper one; study files stay below 10.
 */
function checkTokens(source: SourceText): Guarded {
  const columns: number[] = [];
  let brackets = 0;
  let offset = 0;
  let lineStart = 0;
  let count = 0;
  for (const token of new Lexer().lex(source.text)) {
    // Marks the lexer inserts (document, scalar, end of an unclosed collection) are not part of the text.
    if (token === "\u0002" || token === "\u0018" || token === "\u001f") continue;
    if (token === "{" || token === "[") brackets++;
    else if (token === "}" || token === "]") brackets = Math.max(0, brackets - 1);
    else if (brackets <= 0 && !neutralTokens.test(token)) {
      const column = offset - lineStart;
      while (columns.length > 0 && columns.at(-1)! > column) columns.pop();
      if (columns.at(-1) !== column) columns.push(column);
    }
    const range = { start: offset, end: offset + 1 };
    if (++count > maxTokens) {
      return problem(source, range, "LMX1002", `Expected at most ${maxTokens} YAML tokens, got more`, [
        "a study file holds settings only; name data files in proxy.tasks",
      ]);
    }
    if (columns.length + brackets > maxDepth) {
      return problem(source, range, "LMX1004", `Expected at most ${maxDepth} levels of nesting, got more`, [
        "a study file needs fewer than ten",
      ]);
    }
    offset += token.length;
    const lastBreak = token.lastIndexOf("\n");
    if (lastBreak !== -1) lineStart = offset - token.length + lastBreak + 1;
  }
  return { source };
}
