// The recorded files of test/fixtures/corpus (see its README), and small ways to read them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TokenStore } from "../../src/corpus/token_store.js";
import { LayermixError } from "../../src/diag/diagnostic.js";

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/corpus/${name}`, import.meta.url));

export const fixtureJson = (name: string) => JSON.parse(readFileSync(fixture(name), "utf8"));

/** Tokens [start, end) of a store. */
export function tokensOf(store: TokenStore, start = 0, end = store.count): number[] {
  const out = new Int32Array(end - start + 2).fill(-7);
  store.read(start, end - start, out, 1);
  assert.deepEqual([out[0], out[out.length - 1]], [-7, -7], "nothing is written outside the range");
  return [...out.subarray(1, -1)];
}

/** Runs and expects an error of this code and exit code 3 whose message holds every part. */
export async function refuses(
  code: string,
  parts: readonly string[],
  run: () => unknown,
): Promise<LayermixError> {
  try {
    await run();
  } catch (error) {
    assert.ok(error instanceof LayermixError, String(error));
    const [{ code: got, message }] = error.diagnostics as [LayermixError["diagnostics"][number]];
    assert.deepEqual([got, error.exitCode], [code, 3], message);
    for (const part of parts) assert.ok(message.includes(part), `${part} in: ${message}`);
    return error;
  }
  assert.fail(`expected ${code}`);
}
