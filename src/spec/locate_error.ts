// Later rooms name the place they complain about by its path only ("model.placement"); here the path becomes a position
// in the study file.

import { type Diagnostic, LayermixError } from "../diag/diagnostic.js";
import type { SpecDocument } from "./document.js";

/** Diagnostics with the position of their path, where they have a path and no position yet. */
export function withPositions(
  diagnostics: readonly Diagnostic[],
  document: SpecDocument,
): readonly Diagnostic[] {
  return diagnostics.map((diagnostic) => {
    if (diagnostic.position !== undefined || diagnostic.path === undefined) return diagnostic;
    const position = document.locate(diagnostic.path);
    return position === undefined ? diagnostic : { ...diagnostic, position };
  });
}

/** Runs `work`; a LayermixError that it throws gets the positions of its paths in `document`. */
export function locating<T>(document: SpecDocument, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LayermixError)) throw error;
    throw new LayermixError(withPositions(error.diagnostics, document), error.exitCode, { cause: error });
  }
}
