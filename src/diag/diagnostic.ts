// One message the user sees, as data: what was expected, what was found, where, and what to do about it.
// Every room builds Diagnostics; only diag/ renders them (code frame on a terminal, plain object under --json).
// Codes are LMXnnnn and are catalogued, with a longer explanation each, in diag/codes/.

/** The lines around a position, carried along so that a message can be shown without its file at hand. */
export interface SourceExcerpt {
  readonly firstLine: number;
  readonly lines: readonly string[];
}

/** A place in a source text. Lines and columns count from 1; `endColumn` is exclusive. Columns are UTF-16 units. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endColumn?: number;
  readonly excerpt?: SourceExcerpt;
}

export type DiagnosticCode = `LMX${number}`;

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: "error" | "warning";
  /** One sentence, no trailing newline: "Expected X at PATH, got Y". */
  readonly message: string;
  /** What to do, one sentence each. */
  readonly help: readonly string[];
  readonly position?: SourcePosition;
  /** Path into the document, e.g. "model.mix.mamba2". */
  readonly path?: string;
}

/** Exit codes of the command line, the same with and without --json. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  invalidFile: 3,
  infeasible: 4,
  trialFailed: 5,
  storage: 6,
  noDevice: 7,
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The only error type the rooms throw on purpose: one or more diagnostics and the exit code they lead to. */
export class LayermixError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  readonly exitCode: ExitCode;

  constructor(diagnostics: Diagnostic | readonly Diagnostic[], exitCode: ExitCode, options?: ErrorOptions) {
    const list = Array.isArray(diagnostics)
      ? (diagnostics as readonly Diagnostic[])
      : [diagnostics as Diagnostic];
    super(list.map((d) => `${d.code}: ${d.message}`).join("\n"), options);
    this.name = "LayermixError";
    this.diagnostics = list;
    this.exitCode = exitCode;
  }
}
