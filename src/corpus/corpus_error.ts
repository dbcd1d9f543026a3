// Short ways to say what is wrong with a corpus file. All of them are errors of the input: exit code 3.

import { type DiagnosticCode, exitCodes, LayermixError, type SourcePosition } from "../diag/diagnostic.js";

/** An error with one message; `position` where the file is text and has lines. */
export function corpusError(
  code: DiagnosticCode,
  message: string,
  help: readonly string[] = [],
  options: { readonly position?: SourcePosition; readonly cause?: unknown } = {},
): LayermixError {
  const { position, cause } = options;
  return new LayermixError(
    { code, severity: "error", message, help, ...(position !== undefined && { position }) },
    exitCodes.invalidFile,
    cause === undefined ? undefined : { cause },
  );
}
