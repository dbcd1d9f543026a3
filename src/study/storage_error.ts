// What the disk says, in the words of diag/: every file operation of a study goes through onDisk(), so that a full or
// read-only disk ends a run with one sentence, the path, and exit code 6 - never with a stack trace.

import { type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { systemReason } from "../diag/system_reason.js";

const causes: Readonly<Record<string, { readonly code: DiagnosticCode; readonly help: string }>> = {
  ENOSPC: {
    code: "LMX4001",
    help: "Free some space, then run the same command again.",
  },
  EDQUOT: {
    code: "LMX4001",
    help: "Free some space, then run the same command again.",
  },
  EFBIG: {
    code: "LMX4001",
    help: "Raise the limit (ulimit -f), then run the same command again.",
  },
  EROFS: { code: "LMX4002", help: "Choose another folder with --out." },
  EACCES: {
    code: "LMX4002",
    help: "Choose another folder with --out, or change its permissions.",
  },
  EPERM: {
    code: "LMX4002",
    help: "Choose another folder with --out, or change its permissions.",
  },
  ENOTDIR: {
    code: "LMX4002",
    help: "Choose another folder with --out.",
  },
  EEXIST: {
    code: "LMX4002",
    help: "Choose another name with --out.",
  },
  EISDIR: {
    code: "LMX4002",
    help: "Choose another name with --out.",
  },
};

const readHelp =
  "Check the path and its permissions: a study folder is the value of --out, or layermix-studies/NAME.";

/** Runs one file operation; its errors become LayermixErrors with exit code 6 that name the path. */
export function onDisk<T>(verb: "read" | "write", path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw storageError(verb, path, error);
  }
}

/** The errno of a failed file operation ("ENOENT"), or undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** What to throw for a failed file operation on `path`; errors that do not come from the system are returned as they are. */
export function storageError(verb: "read" | "write", path: string, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const known = causes[errno];
  return new LayermixError(
    {
      code: known?.code ?? "LMX4003",
      severity: "error",
      message: `Expected to ${verb} ${path}, got: ${systemReason(error)}`,
      help: [
        verb === "read" ? readHelp : (known?.help ?? "Check the disk, then run the same command again."),
      ],
    },
    exitCodes.storage,
    { cause: error },
  );
}
