// Errors of the native library as diagnostics: the message stays, the code and the exit code are ours.

import { type DiagnosticCode, type ExitCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import type { NativeErrorCode } from "./native.js";

const meaning: Readonly<Record<NativeErrorCode, readonly [DiagnosticCode, ExitCode, string?]>> = {
  no_device: ["LMX3003", exitCodes.noDevice, "Use --device cpu."],
  out_of_memory: [
    "LMX3004",
    exitCodes.infeasible,
    "Use a smaller model, context or batch, or fewer workers; layermix plan shows what a model needs.",
  ],
  invalid_argument: ["LMX3005", exitCodes.infeasible],
  not_found: ["LMX3006", exitCodes.internal],
  internal: ["LMX3006", exitCodes.internal],
  device_fault: ["LMX3006", exitCodes.internal],
  busy: ["LMX3006", exitCodes.internal],
  disposed: ["LMX3006", exitCodes.internal],
};

function readable(bytes: number): string {
  if (bytes < 2 ** 20) return `${bytes} bytes`;
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

/** Why a native call failed; undefined for what no native call has thrown. */
export function nativeErrorCode(thrown: unknown): NativeErrorCode | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  const code = String(thrown.code);
  return Object.hasOwn(meaning, code) ? (code as NativeErrorCode) : undefined;
}

/** What a native call threw, as a LayermixError; anything else is returned as it is. */
export function fromNativeError(thrown: unknown): unknown {
  const code = nativeErrorCode(thrown);
  if (code === undefined) return thrown;
  const [diagnostic, exit, help] = meaning[code];
  const text = (thrown as Error).message.replace(/(\d+) bytes, (\d+) free/, (_, asked, free) => {
    return `${readable(Number(asked))}, ${readable(Number(free))} free`;
  });
  const message = text.charAt(0).toUpperCase() + text.slice(1);
  return new LayermixError(
    { code: diagnostic, severity: "error", message, help: help === undefined ? [] : [help] },
    exit,
    { cause: thrown },
  );
}
