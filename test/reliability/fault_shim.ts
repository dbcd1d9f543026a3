// The shim that makes the disk and the clock misbehave (fault_shim.c), compiled once per folder.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { Skipped } from "./check.js";

const source = join(import.meta.dirname, "fault_shim.c");

export interface Fault {
  /** Which file operation under the study fails, from 1; 0: none. */
  readonly at: number;
  readonly errno: "EIO" | "ENOSPC";
  /** A write takes half of the bytes first, the one after it fails. */
  readonly short?: boolean;
  /** And all writing after it. */
  readonly sticky?: boolean;
}

export class FaultShim {
  readonly #library: string;
  readonly #counter: string;

  /** Throws Skipped where nothing can be preloaded. */
  constructor(folder: string) {
    if (process.platform !== "linux") throw new Skipped("needs LD_PRELOAD");
    this.#library = join(folder, "fault_shim.so");
    this.#counter = join(folder, "operations");
    try {
      execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", this.#library, source, "-ldl"], { stdio: "pipe" });
    } catch (error) {
      throw new Skipped(`no C compiler: ${(error as Error).message.split("\n")[0]}`);
    }
  }

  /** Environment for a sweep over `study` in which one file operation fails. */
  failing(study: string, { at, errno, short = false, sticky = false }: Fault): Record<string, string> {
    writeFileSync(this.#counter, Buffer.alloc(8));
    return {
      LD_PRELOAD: this.#library,
      LMX_FAULT_UNDER: study,
      LMX_FAULT_COUNTER: this.#counter,
      LMX_FAULT_AT: String(at),
      LMX_FAULT_ERRNO: String(constants.errno[errno]),
      LMX_FAULT_SHORT: short ? "1" : "0",
      LMX_FAULT_STICKY: sticky ? "1" : "0",
    };
  }

  /** Operations counted since failing(). */
  get operations(): number {
    return Number(readFileSync(this.#counter).readBigUInt64LE());
  }

  /** Environment in which the time of day is off by so many seconds. */
  skewed(seconds: number): Record<string, string> {
    return { LD_PRELOAD: this.#library, LMX_CLOCK_OFFSET: String(seconds) };
  }
}
