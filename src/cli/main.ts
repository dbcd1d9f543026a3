// The command line's entry: hands over to oclif, and turns whatever escapes from it into our messages and exit codes.

import { run } from "@oclif/core/run";
import { exitCodes } from "../diag/diagnostic.js";
import { storageError } from "../study/storage_error.js";
import { reportFailure } from "./failure.js";
import { flagsBeforeDashes, wantsColor } from "./terminal.js";

/** Says on stderr that the output could not be written (`> /dev/full`), and gives the exit code. */
function outputFailure(error: Error, stream: NodeJS.WriteStream, argv: readonly string[]): number {
  if (stream === process.stderr) return exitCodes.storage; // nobody is left to tell
  const context = { command: "", argv, flagNames: [], json: false };
  return reportFailure(storageError("write", "the output", error), context, process.stdout, process.stderr);
}

/** Runs one command line; sets process.exitCode instead of exiting, so that output is flushed. */
export async function main(argv: readonly string[], root: string): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // The reader has gone (`layermix ... | head`): nothing is left to say.
      if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
      process.exit(outputFailure(error, stream, argv));
    });
  }
  // oclif colours its help by itself; it listens to NO_COLOR.
  if (!wantsColor(process.stdout, process.env, argv)) process.env.NO_COLOR ||= "1";
  try {
    await run([...argv], root);
  } catch (thrown) {
    const command = argv.find((word) => !word.startsWith("-")) ?? "";
    const context = { command, argv, flagNames: [], json: flagsBeforeDashes(argv).includes("--json") };
    if ((thrown as { code?: string }).code === "EEXIT") {
      process.exitCode = (thrown as { oclif?: { exit?: number } }).oclif?.exit ?? 0;
      return;
    }
    process.exitCode = reportFailure(thrown, context, process.stdout, process.stderr);
  }
}
