// Was it the trial's fault? A worker that dies of a fault in its own code (a signal such as SIGSEGV, an exit code) or
// for want of memory is blamed on the trial it ran. One that was killed from outside - by a person, a scheduler, a test -
// is not: the trial is simply taken up again. The kernel's OOM killer also uses SIGKILL, but it keeps count.

import { readFileSync } from "node:fs";
import type { FailureCause } from "../study/outcome.js";

/** How a child process ended, as Node reports it. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Why a death counts against the trial that ran. */
export interface Blame {
  readonly cause: Exclude<FailureCause, "error">;
  /** "SIGSEGV", "exit code 134", "out of memory (killed by the kernel)". */
  readonly reason: string;
}

/** Signals sent by others, not caused by the process itself. */
const outsideSignals: ReadonlySet<NodeJS.Signals> = new Set([
  "SIGKILL",
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
]);

/**
 * What to record against the trial, or undefined when the worker was killed from outside.
 * @param oomKills processes the kernel killed for want of memory while the worker lived.
 */
export function blameTrial(end: ProcessEnd, oomKills: number): Blame | undefined {
  if (end.signal === "SIGKILL" && oomKills > 0) {
    return { cause: "oom", reason: "out of memory (killed by the kernel)" };
  }
  if (end.signal !== null) {
    return outsideSignals.has(end.signal) ? undefined : { cause: "crash", reason: end.signal };
  }
  return { cause: "crash", reason: `exit code ${end.code}` };
}

/** Processes the kernel has killed for want of memory since boot (Linux >= 4.13); 0 where it does not tell. */
export function countOomKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
