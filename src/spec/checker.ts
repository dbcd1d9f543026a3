// What the checks of meaning share: the document, the places where the schema has complained already, and a way to
// report. A check reads only parts that the schema accepts, so that one mistake gives one message.

import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import type { SpecDocument } from "./document.js";
import { type Path, showPath, toPointer } from "./path.js";

/** A section of the file whose form is known to be right. */
export type Section = Readonly<Record<string, unknown>>;

export class Checker {
  readonly document: SpecDocument;
  readonly diagnostics: Diagnostic[] = [];
  readonly #malformed: readonly string[];

  constructor(document: SpecDocument, malformed: readonly Path[]) {
    this.document = document;
    this.#malformed = malformed.map(toPointer);
  }

  /** Whether the value exists, and nothing at it or around it is malformed. Below it, only with `deep`. */
  sound(path: Path, deep = true): boolean {
    const pointer = toPointer(path);
    const touches = (bad: string) =>
      bad === pointer || pointer.startsWith(`${bad}/`) || (deep && bad.startsWith(`${pointer}/`));
    return this.document.at(path) !== undefined && !this.#malformed.some(touches);
  }

  /** The value at a path if it is sound, else undefined. */
  read(path: Path): unknown {
    return this.sound(path) ? this.document.at(path) : undefined;
  }

  /** A mapping whose own form is right; single entries may still be malformed. */
  section(path: Path): Section | undefined {
    const value = this.document.at(path);
    const usable =
      this.sound(path, false) && typeof value === "object" && value !== null && !Array.isArray(value);
    return usable ? (value as Section) : undefined;
  }

  error(
    path: Path,
    code: DiagnosticCode,
    message: string,
    help: readonly string[] = [],
    what?: "key" | "value",
  ): void {
    this.#report("error", path, code, message, help, what);
  }

  warning(
    path: Path,
    code: DiagnosticCode,
    message: string,
    help: readonly string[] = [],
    what?: "key" | "value",
  ): void {
    this.#report("warning", path, code, message, help, what);
  }

  #report(
    severity: Diagnostic["severity"],
    path: Path,
    code: DiagnosticCode,
    message: string,
    help: readonly string[],
    what: "key" | "value" = "value",
  ): void {
    const position = this.document.locate(path, what);
    const place = position === undefined ? {} : { position };
    this.diagnostics.push({ code, severity, message, help, path: showPath(path), ...place });
  }
}
