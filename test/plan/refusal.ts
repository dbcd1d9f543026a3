// What a refused plan says, for tests: the code, the exit code, the sentence and the help.

import assert from "node:assert/strict";
import { LayermixError } from "../../src/diag/diagnostic.js";

export interface Refusal {
  readonly code: string;
  readonly exitCode: number;
  readonly message: string;
  readonly help: readonly string[];
  readonly path: string | undefined;
}

/** Runs `work`, which must throw a LayermixError, and returns its first diagnostic. */
export function refusal(work: () => unknown): Refusal {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof LayermixError, `expected a LayermixError, got ${error}`);
    const [first] = error.diagnostics;
    assert.ok(first !== undefined);
    return {
      code: first.code,
      exitCode: error.exitCode,
      message: first.message,
      help: first.help,
      path: first.path,
    };
  }
  assert.fail("expected a LayermixError, got none");
}
