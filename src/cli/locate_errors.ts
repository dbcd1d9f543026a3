// Rooms after spec/ know only the path of what they refuse ("model.placement"); the loaded document knows
// where that is. Adds the positions, so that plan errors have a code frame like all others.

import { type Diagnostic, LayermixError } from "../diag/diagnostic.js";
import type { SpecDocument } from "../spec/document.js";

/** Runs `work`; errors it throws get the position of their path in `document`. */
export function withPositions<T>(document: SpecDocument, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LayermixError)) throw error;
    const located = error.diagnostics.map((diagnostic) => locate(diagnostic, document));
    throw new LayermixError(located, error.exitCode, { cause: error });
  }
}

/** The position of the diagnostic's path, or of the nearest place above it that the file has. */
function locate(diagnostic: Diagnostic, document: SpecDocument): Diagnostic {
  if (diagnostic.position !== undefined || diagnostic.path === undefined) return diagnostic;
  const steps = diagnostic.path.split(".");
  for (let length = steps.length; length > 0; length -= 1) {
    const position = document.locate(steps.slice(0, length));
    if (position !== undefined) return { ...diagnostic, position };
  }
  return diagnostic;
}
