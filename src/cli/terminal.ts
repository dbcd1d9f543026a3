// What the command line knows about the terminal: whether to colour, and how to write without dying of a closed pipe.
// NO_COLOR (any non-empty value), --no-color, TERM=dumb and a stream that is no terminal switch colours off.

import type { WriteStream } from "node:tty";
import type { RenderOptions } from "../diag/render.js";

export type OutputStream = NodeJS.WritableStream & Partial<Pick<WriteStream, "isTTY" | "columns">>;

/** Whether text for `stream` may carry ANSI colours. */
export function wantsColor(
  stream: OutputStream,
  environment: NodeJS.ProcessEnv,
  argv: readonly string[] = [],
): boolean {
  if (stream.isTTY !== true || environment.TERM === "dumb") return false;
  if (environment.NO_COLOR !== undefined && environment.NO_COLOR !== "") return false;
  return !flagsBeforeDashes(argv).includes("--no-color");
}

/** How messages are rendered for `stream`. */
export function messageStyle(
  stream: OutputStream,
  environment: NodeJS.ProcessEnv,
  argv: readonly string[],
): RenderOptions {
  const color = wantsColor(stream, environment, argv);
  return { color, ...(stream.columns === undefined ? {} : { width: stream.columns }) };
}

/** The part of `argv` in which flags are flags: everything before a lone "--". */
export function flagsBeforeDashes(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end === -1 ? argv : argv.slice(0, end);
}

/** Writes `text` and a newline, unless it is empty. */
export function writeLine(stream: OutputStream, text: string): void {
  if (text !== "") stream.write(text.endsWith("\n") ? text : `${text}\n`);
}
