// Lines at the bottom of a terminal that are redrawn in place. Text printed through print() scrolls above them.

import type { OutputStream } from "../terminal.js";

const redrawMilliseconds = 200;

export class LiveDisplay {
  readonly #stream: OutputStream;
  readonly #lines: (width: number) => readonly string[];
  readonly #timer: NodeJS.Timeout;
  #drawn = 0;

  /** Draws what `lines` says, five times a second, until close(). */
  constructor(stream: OutputStream, lines: (width: number) => readonly string[]) {
    this.#stream = stream;
    this.#lines = lines;
    this.#timer = setInterval(() => this.#draw(), redrawMilliseconds);
    this.#timer.unref();
  }

  /** A line that stays. */
  print(text: string): void {
    this.#stream.write(`${this.#erase()}${text}\n`);
    this.#draw();
  }

  /** Removes the lines and stops. */
  close(): void {
    clearInterval(this.#timer);
    this.#stream.write(this.#erase());
  }

  #draw(): void {
    // One column less than there are: a full last column makes some terminals wrap.
    const lines = this.#lines((this.#stream.columns ?? 80) - 1);
    this.#stream.write(`${this.#erase()}${lines.map((line) => `${line}\n`).join("")}`);
    this.#drawn = lines.length;
  }

  /** Cursor up over what was drawn, and clear to the end of the screen. */
  #erase(): string {
    const up = this.#drawn === 0 ? "" : `\u001b[${this.#drawn}A\r\u001b[J`;
    this.#drawn = 0;
    return up;
  }
}
