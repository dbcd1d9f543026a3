// Diagnostics in reading order, without repetitions: file, line, column, then code. Errors come before warnings.

import type { Diagnostic } from "./diagnostic.js";

function compare(a: Diagnostic, b: Diagnostic): number {
  if (a.severity !== b.severity) return a.severity === "error" ? -1 : 1;
  const fileOrder = (a.position?.file ?? "").localeCompare(b.position?.file ?? "");
  if (fileOrder !== 0) return fileOrder;
  return (
    (a.position?.line ?? 0) - (b.position?.line ?? 0) ||
    (a.position?.column ?? 0) - (b.position?.column ?? 0) ||
    a.code.localeCompare(b.code)
  );
}

/** Sorted by position; of several with the same code, place and message only the first is kept. */
export function orderDiagnostics(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const seen = new Set<string>();
  return [...diagnostics].sort(compare).filter((diagnostic) => {
    const { position, code, message } = diagnostic;
    const key = `${code}\0${position?.file}\0${position?.line}\0${position?.column}\0${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
