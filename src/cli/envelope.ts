// The one object that --json prints, for a success and for every failure (docs/json.md). Scripts rely on these fields.

import type { Diagnostic, LayermixError } from "../diag/diagnostic.js";

/** Version of the envelope and of all data in it; raised when a field changes its meaning or disappears. */
export const envelopeSchema = "layermix/1";

/** A diagnostic as scripts see it: positions flat, no code frame. */
export interface MessageJson {
  readonly code: string;
  readonly message: string;
  readonly help: readonly string[];
  readonly path?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly endColumn?: number;
}

export interface SuccessEnvelope {
  readonly schema: typeof envelopeSchema;
  readonly command: string;
  readonly ok: true;
  readonly data: unknown;
  readonly warnings: readonly MessageJson[];
}

export interface FailureEnvelope {
  readonly schema: typeof envelopeSchema;
  readonly command: string;
  readonly ok: false;
  /** The first of `errors`. */
  readonly error: MessageJson;
  readonly errors: readonly MessageJson[];
  /** What was done all the same: the ranking of a study some of whose trials failed. */
  readonly data?: unknown;
  /** With `data`: what else is to be said of it. */
  readonly warnings?: readonly MessageJson[];
}

/** What there is to show although something went wrong. */
export interface PartialResult {
  readonly data: unknown;
  readonly warnings: readonly Diagnostic[];
}

function messageJson(diagnostic: Diagnostic): MessageJson {
  const { code, message, help, path, position } = diagnostic;
  return {
    code,
    message,
    help,
    ...(path === undefined ? {} : { path }),
    ...(position === undefined ? {} : { file: position.file, line: position.line, column: position.column }),
    ...(position?.endColumn === undefined ? {} : { endColumn: position.endColumn }),
  };
}

export function successEnvelope(
  command: string,
  data: unknown,
  warnings: readonly Diagnostic[] = [],
): SuccessEnvelope {
  return { schema: envelopeSchema, command, ok: true, data, warnings: warnings.map(messageJson) };
}

export function failureEnvelope(
  command: string,
  error: LayermixError,
  result?: PartialResult,
): FailureEnvelope {
  const errors = error.diagnostics.map(messageJson);
  const first = errors[0] ?? { code: "LMX0001", message: error.message, help: [] };
  const partial =
    result === undefined ? {} : { data: result.data, warnings: result.warnings.map(messageJson) };
  return { schema: envelopeSchema, command, ok: false, error: first, errors, ...partial };
}
