// Where trials compute. Only the CPU so far; the name that is chosen goes into study.json and to every worker.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";

/** The device that --device means on this machine. Throws LMX4017 (exit 7) when nothing here can train on it. */
export function chooseDevice(asked: string): string {
  if (asked === "auto" || asked === "cpu") return "cpu";
  throw new LayermixError(
    {
      code: "LMX4017",
      severity: "error",
      message: `Expected a device this build can train on, got ${asked}`,
      help: ["Use --device cpu, or leave --device out."],
    },
    exitCodes.noDevice,
  );
}
