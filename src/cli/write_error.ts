// A study file that cannot be written: it is there already, or the disk says no.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { systemReason } from "../diag/system_reason.js";
import { usageError } from "./failure.js";

export function cannotWrite(file: string, error: NodeJS.ErrnoException): LayermixError {
  if (error.code === "EEXIST")
    return usageError("LMX6010", `${file} exists already`, ["add --force to overwrite it"]);
  const message = `Cannot write ${file}: ${systemReason(error)}`;
  const help = ["name another file, or change the permissions of its folder"];
  return new LayermixError({ code: "LMX6011", severity: "error", message, help }, exitCodes.storage, {
    cause: error,
  });
}
