// Short ways to say what is wrong with a file from elsewhere.

import { type Diagnostic, type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";

/** One problem of a foreign file. */
export function problem(code: DiagnosticCode, message: string, ...help: readonly string[]): Diagnostic {
  return { code, severity: "error", message, help };
}

/** An error of exit code 3 with one problem. */
export function invalidFile(
  code: DiagnosticCode,
  message: string,
  ...help: readonly string[]
): LayermixError {
  return new LayermixError(problem(code, message, ...help), exitCodes.invalidFile);
}
