// How plan/ says no: one diagnostic, exit code 4 (infeasible) unless the file itself is at fault.

import { type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";

/** An error for a plan that cannot be made; `path` is the place in the study file it comes from. */
export function infeasible(
  code: DiagnosticCode,
  message: string,
  help: readonly string[],
  path?: string,
): LayermixError {
  const diagnostic = { code, severity: "error" as const, message, help };
  return new LayermixError(path === undefined ? diagnostic : { ...diagnostic, path }, exitCodes.infeasible);
}
