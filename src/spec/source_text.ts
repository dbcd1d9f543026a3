// A text with line numbers: turns offsets into positions that carry the lines around them.

import type { SourcePosition } from "../diag/diagnostic.js";

/** UTF-16 offsets, `end` exclusive. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** Lines shown before and after the marked one. */
const contextLines = 2;

export class SourceText {
  readonly file: string;
  /** Line breaks are "\n" only. */
  readonly text: string;
  readonly #lineStarts: number[] = [0];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text.replace(/\r\n?/g, "\n");
    for (let at = this.text.indexOf("\n"); at !== -1; at = this.text.indexOf("\n", at + 1)) {
      this.#lineStarts.push(at + 1);
    }
  }

  /** The 0-based line that holds `offset`. */
  #lineOf(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #line(index: number): string {
    const start = this.#lineStarts[index]!;
    const next = this.#lineStarts[index + 1];
    return this.text.slice(start, next === undefined ? this.text.length : next - 1);
  }

  /** The position of a range; a range over several lines is cut at the end of its first one. */
  positionOf(range: TextRange): SourcePosition {
    const start = Math.min(Math.max(range.start, 0), this.text.length);
    const line = this.#lineOf(start);
    const lineStart = this.#lineStarts[line]!;
    const end = Math.min(Math.max(range.end, start + 1), lineStart + this.#line(line).length);
    const first = Math.max(0, line - contextLines);
    const last = Math.min(this.#lineStarts.length - 1, line + contextLines);
    const lines = Array.from({ length: last - first + 1 }, (_, i) => this.#line(first + i));
    while (lines.length > line - first + 1 && lines.at(-1)!.trim() === "") lines.pop();
    return {
      file: this.file,
      line: line + 1,
      column: start - lineStart + 1,
      endColumn: Math.max(end, start + 1) - lineStart + 1,
      excerpt: { firstLine: first + 1, lines },
    };
  }
}
