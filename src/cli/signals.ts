// Ctrl-C and SIGTERM for commands that run long: the first one asks to stop - finish the step, save - the second one
// leaves at once. Handlers set a flag and nothing else; the work itself happens where the flags are read.

import { type ExitCode, exitCodes } from "../diag/diagnostic.js";

export interface StopSignals {
  /** Aborted by the first signal. */
  readonly stop: AbortSignal;
  /** Aborted by the second. */
  readonly kill: AbortSignal;
  /** Exit code of the first signal: 130 or 143; undefined while there was none. */
  readonly exitCode: ExitCode | undefined;
}

/** Runs `action` with the signals caught; `onStop` tells the user that the first one has been understood. */
export async function withStopSignals<T>(
  onStop: () => void,
  action: (signals: StopSignals) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const kill = new AbortController();
  let exitCode: ExitCode | undefined;
  const handle = (name: "SIGINT" | "SIGTERM"): void => {
    if (exitCode !== undefined) {
      kill.abort();
      return;
    }
    exitCode = name === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated;
    onStop();
    stop.abort();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  try {
    return await action({
      stop: stop.signal,
      kill: kill.signal,
      get exitCode() {
        return exitCode;
      },
    });
  } finally {
    // What comes while the last words are being written leaves at once too, with the code of the first.
    const code = exitCode;
    if (code !== undefined) {
      process.on("SIGINT", () => process.exit(code));
      process.on("SIGTERM", () => process.exit(code));
    }
    process.off("SIGINT", handle);
    process.off("SIGTERM", handle);
  }
}
