// Turns whatever was thrown into a LayermixError, and shows it. oclif's own parse errors become LMX6xxx with the
// nearest name; anything unknown is an internal error (LMX0001, exit 1) whose stack is shown only under DEBUG.

import { type Diagnostic, type DiagnosticCode, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { orderDiagnostics } from "../diag/order.js";
import { renderDiagnostics } from "../diag/render.js";
import { nearestName, similarName } from "../diag/suggest.js";
import { failureEnvelope } from "./envelope.js";
import { messageStyle, type OutputStream, writeLine } from "./terminal.js";

/** What is known about the command that failed; names feed the suggestions. */
export interface FailureContext {
  readonly command: string;
  readonly argv: readonly string[];
  readonly flagNames: readonly string[];
}

/** The fields of oclif's parser errors that are read here (@oclif/core parser/errors). */
interface ParserError extends Error {
  readonly flags?: readonly string[];
  readonly args?: readonly (string | { readonly name: string })[];
}

export function usageError(
  code: DiagnosticCode,
  message: string,
  help: readonly string[] = [],
): LayermixError {
  return new LayermixError({ code, severity: "error", message, help }, exitCodes.usage);
}

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}

function fromParserError(error: ParserError, context: FailureContext): LayermixError | undefined {
  const seeHelp = `run layermix ${context.command} --help`;
  const argumentNames = (error.args ?? []).map((arg) => (typeof arg === "string" ? arg : arg.name));
  const firstLine = error.message.split("\n")[0]!.trim();
  switch (error.constructor.name) {
    case "NonExistentFlagsError": {
      const diagnostics = (error.flags ?? []).map((flag): Diagnostic => {
        const name = nearestName(flag.replace(/^-+/, ""), context.flagNames);
        const help = name === undefined ? seeHelp : `a flag with a similar name exists: --${name}`;
        return { code: "LMX6002", severity: "error", message: `Unknown flag ${flag}`, help: [help] };
      });
      return new LayermixError(diagnostics, exitCodes.usage);
    }
    case "RequiredArgsError": {
      const names = argumentNames.map((name) => name.toUpperCase()).join(", ");
      return usageError("LMX6003", `Missing ${plural(argumentNames.length, "argument")} ${names}`, [seeHelp]);
    }
    case "UnexpectedArgsError":
      return usageError(
        "LMX6004",
        `Unexpected ${plural(argumentNames.length, "argument")} ${argumentNames.join(", ")}`,
        [seeHelp],
      );
    case "FlagInvalidOptionError":
    case "ArgInvalidOptionError": {
      const [, given = "", options = ""] =
        /^Expected (?:--[^=]+=)?(.*) to be one of: (.*)$/s.exec(firstLine) ?? [];
      const hint = similarName("value", given, options.split(", "));
      return usageError("LMX6005", firstLine, [hint ?? seeHelp]);
    }
    case "FailedFlagValidationError":
    case "ViolatedFlagConstraintError": {
      const reasons = error.message
        .split("\n")
        .slice(1, -1)
        .map((reason) => reason.trim());
      const missing = reasons.map((reason) => /^Missing required flag (\S+)$/.exec(reason)?.[1]);
      if (missing.every((flag) => flag !== undefined)) {
        const flags = missing.map((flag) => `--${flag}`).join(", ");
        return usageError("LMX6003", `Missing ${plural(missing.length, "flag")} ${flags}`, [seeHelp]);
      }
      return usageError("LMX6006", reasons.join("; "), [seeHelp]);
    }
    case "CLIError": {
      const missing = /^Command (.+) not found/.exec(firstLine)?.[1];
      if (missing !== undefined)
        return usageError("LMX6001", `Unknown command ${missing}`, ["run layermix --help"]);
      return usageError("LMX6005", parsingMessage(error.message) ?? firstLine, [seeHelp]);
    }
    default:
      return undefined;
  }
}

/** oclif's "Parsing --layers \n\tExpected an integer ... but received: x" in our form. */
function parsingMessage(text: string): string | undefined {
  const [, flag, reason] = /^Parsing (--\S+)\s*\n\s*(.+)$/m.exec(text) ?? [];
  if (flag === undefined || reason === undefined) return undefined;
  const [, expected, got] = /^Expected (.*) but received: (.*)$/.exec(reason) ?? [];
  return expected === undefined ? reason : `Expected ${flag} to be ${expected}, got ${JSON.stringify(got)}`;
}

/** The error that the user sees for `thrown`. */
export function asLayermixError(thrown: unknown, context: FailureContext): LayermixError {
  if (thrown instanceof LayermixError) return thrown;
  if (thrown instanceof Error) {
    const usage = fromParserError(thrown, context);
    if (usage !== undefined) return usage;
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const internal: Diagnostic = {
    code: "LMX0001",
    severity: "error",
    message: `Internal error: ${reason.split("\n")[0]}`,
    help: ["this is a bug in layermix; DEBUG=layermix shows the stack"],
  };
  return new LayermixError(internal, exitCodes.internal, { cause: thrown });
}

/** Shows `thrown` (JSON on `stdout` or text on `stderr`) and gives the exit code. */
export function reportFailure(
  thrown: unknown,
  context: FailureContext & { readonly json: boolean },
  stdout: OutputStream,
  stderr: OutputStream,
): number {
  const error = asLayermixError(thrown, context);
  const ordered = new LayermixError(orderDiagnostics(error.diagnostics), error.exitCode);
  if (context.json) {
    writeLine(stdout, JSON.stringify(failureEnvelope(context.command, ordered)));
  } else {
    const style = messageStyle(stderr, process.env, context.argv);
    writeLine(stderr, renderDiagnostics(ordered.diagnostics, style));
  }
  if (process.env.DEBUG) writeLine(stderr, String((error.cause as Error | undefined)?.stack ?? error.stack));
  return error.exitCode;
}
