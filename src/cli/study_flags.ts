// Flags of the commands that run trials, beside the shared ones.

import { Flags } from "@oclif/core";
import { usageError } from "./failure.js";

/** Seconds between checkpoints unless --checkpoint-every says otherwise. */
const defaultCheckpointSeconds = 10;

export const studyFlags = {
  "checkpoint-every": Flags.custom<number>({
    description: "Seconds of work that a crash may lose. Example: --checkpoint-every 60",
    helpValue: "SECONDS",
    parse: async (input) => {
      const seconds = /^\d+(\.\d+)?$/.test(input) ? Number(input) : Number.NaN;
      if (seconds > 0 && seconds <= 86_400) return seconds;
      throw usageError("LMX6005", `Expected --checkpoint-every to be seconds above 0, got ${input}`, [
        "For example --checkpoint-every 60.",
      ]);
    },
    default: async () => defaultCheckpointSeconds,
    defaultHelp: async () => String(defaultCheckpointSeconds),
  })(),
  "retry-failed": Flags.boolean({
    description: "Try failed trials again. Example: --retry-failed",
  }),
};
