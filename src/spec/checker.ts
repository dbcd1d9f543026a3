// What the checks of meaning share: the document, the places in doubt because something was said about them already, and
// a way to report. A check judges only what is not in doubt, so that one mistake gives one message.

import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import type { SpecDocument } from "./document.js";
import { type Path, showPath, toPointer } from "./path.js";

/** A section of the file whose form is known to be right. */
export type Section = Readonly<Record<string, unknown>>;

/** What a message is about and says; it points at the value unless told otherwise. */
type Report = [
  path: Path,
  code: DiagnosticCode,
  message: string,
  help?: readonly string[],
  what?: "key" | "value",
];

export class Checker {
  readonly document: SpecDocument;
  readonly diagnostics: Diagnostic[] = [];
  readonly #doubts: readonly string[];
  readonly #refused: string[] = [];

  /** `doubts`: values that are malformed or missing, keys that are unknown, and places where those were meant. */
  constructor(document: SpecDocument, doubts: readonly Path[]) {
    this.document = document;
    this.#doubts = doubts.map(toPointer);
  }

  /** Whether the place itself or one around it is in doubt; with `deep`, one below it counts as well. */
  doubtful(path: Path, deep = true): boolean {
    return touches(this.#doubts, path, deep);
  }

  /** Whether nothing is in doubt at, around or below the place, and no check has refused it either. */
  flawless(path: Path): boolean {
    return !this.doubtful(path) && !touches(this.#refused, path, true);
  }

  /** Whether there is a value, and no doubt about it. */
  sound(path: Path, deep = true): boolean {
    return this.document.at(path) !== undefined && !this.doubtful(path, deep);
  }

  /** The value at a path if it is sound, else undefined. */
  read(path: Path): unknown {
    return this.sound(path) ? this.document.at(path) : undefined;
  }

  /** A mapping whose own form is right; single entries may still be in doubt. */
  section(path: Path): Section | undefined {
    const value = this.document.at(path);
    const usable =
      this.sound(path, false) && typeof value === "object" && value !== null && !Array.isArray(value);
    return usable ? (value as Section) : undefined;
  }

  error(...report: Report): void {
    this.#report("error", ...report);
  }

  warning(...report: Report): void {
    this.#report("warning", ...report);
  }

  #report(
    severity: Diagnostic["severity"],
    ...[path, code, message, help = [], what = "value"]: Report
  ): void {
    const position = this.document.locate(path, what);
    const place = position === undefined ? {} : { position };
    this.diagnostics.push({ code, severity, message, help, path: showPath(path), ...place });
    if (severity === "error") this.#refused.push(toPointer(path));
  }
}

/** Whether one of the pointers names the place or one around it; with `deep`, also one below it. */
function touches(pointers: readonly string[], path: Path, deep: boolean): boolean {
  const place = toPointer(path);
  return pointers.some(
    (other) => other === place || place.startsWith(`${other}/`) || (deep && other.startsWith(`${place}/`)),
  );
}
