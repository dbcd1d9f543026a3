// What every command shares, so that the commands stay thin: they implement execute() and return data and text; this
// class prints them, owns the JSON envelope, the exit codes and the error messages. Data go to stdout, messages to
// stderr; results and exit codes are the same with and without --json.

import { Command } from "@oclif/core";
import type { Diagnostic, LayermixError } from "../diag/diagnostic.js";
import { orderDiagnostics } from "../diag/order.js";
import { renderDiagnostics } from "../diag/render.js";
import { failureEnvelope, successEnvelope } from "./envelope.js";
import { reportFailure } from "./failure.js";
import { baseFlags } from "./shared_flags.js";
import { flagsBeforeDashes, messageStyle, wantsColor, writeLine } from "./terminal.js";

/** What a command hands back. */
export interface CommandResult {
  /** `data` of the envelope; its fields are a promise to scripts. */
  readonly data: unknown;
  /** The same for people, on stdout; "" prints nothing. */
  readonly text: string;
  readonly warnings?: readonly Diagnostic[];
  /** What went wrong although there is a result; its exit code becomes that of the process. */
  readonly failure?: LayermixError;
  /** The next useful command, shown on stderr: "layermix plan study.yaml". */
  readonly next?: string;
}

export abstract class LayermixCommand extends Command {
  static override baseFlags = baseFlags;

  /**
   * Does the work. Parse with `await this.parse(TheCommand)`; fail by throwing LayermixError (its exit code becomes
   * that of the process); write progress with note(), never to stdout.
   */
  protected abstract execute(): Promise<CommandResult>;

  /** --json was given. Known before parsing, so that parse errors are reported as JSON as well. */
  protected get json(): boolean {
    return flagsBeforeDashes(this.argv).includes("--json");
  }

  /** Only the result and errors are wanted. */
  protected get quiet(): boolean {
    return this.json || flagsBeforeDashes(this.argv).includes("--quiet");
  }

  /** Text on stdout may be coloured. */
  protected get color(): boolean {
    return !this.json && wantsColor(process.stdout, process.env, this.argv);
  }

  /** A person watches stderr: progress may redraw its lines. */
  protected get interactive(): boolean {
    return !this.quiet && process.stderr.isTTY === true && process.env.TERM !== "dumb";
  }

  /** A message beside the result: progress, what is assumed. To stderr; silent under --quiet and --json. */
  protected note(text: string): void {
    if (!this.quiet) writeLine(process.stderr, text);
  }

  override async run(): Promise<void> {
    const command = (this.id ?? "").replaceAll(":", " ");
    try {
      const result = await this.execute();
      this.show(command, result);
    } catch (thrown) {
      const flagNames = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags, help: null });
      const context = { command, argv: this.argv, flagNames, json: this.json };
      process.exitCode = reportFailure(thrown, context, process.stdout, process.stderr);
    }
  }

  private show(command: string, result: CommandResult): void {
    const warnings = orderDiagnostics(result.warnings ?? []);
    const { data, failure } = result;
    if (failure !== undefined) process.exitCode = failure.exitCode;
    if (this.json) {
      const envelope =
        failure === undefined
          ? successEnvelope(command, data, warnings)
          : failureEnvelope(command, failure, { data, warnings });
      writeLine(process.stdout, JSON.stringify(envelope));
      return;
    }
    writeLine(process.stdout, result.text);
    const style = messageStyle(process.stderr, process.env, this.argv);
    const messages = [...warnings, ...orderDiagnostics(failure?.diagnostics ?? [])];
    writeLine(process.stderr, renderDiagnostics(messages, style));
    if (result.next !== undefined) this.note(`Next: ${result.next}`);
  }
}
