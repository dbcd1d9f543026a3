// How many trials run at once, in how many processes, and with how many threads each. One thread per trial is the most work per second on a
// CPU, so by default there is a worker per physical core; the result of a trial does not depend on its threads, nor on its neighbours.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

export interface Pooling {
  /** Processes. */
  readonly workers: number;
  /** Trials that each of them runs at once. */
  readonly trialsPerWorker: number;
  readonly threadsPerTrial: number;
}

/**
 * Shares `cores` among trials: `atOnce` of them at a time (default: one per core), never more than there are. On a CPU each has a process of
 * its own. The trials of a GPU share one: between processes the device takes turns, within one their kernels overlap.
 */
export function shareCores(device: string, cores: number, trials: number, atOnce?: number): Pooling {
  const count = Math.max(1, Math.min(atOnce ?? cores, trials));
  const threadsPerTrial = Math.max(1, Math.floor(cores / count));
  return device === "cpu"
    ? { workers: count, trialsPerWorker: 1, threadsPerTrial }
    : { workers: 1, trialsPerWorker: count, threadsPerTrial };
}

/**
 * Steps below so many FLOPs do not fill a GPU: so many trials share it, whose kernels run beside one another. Larger steps take turns: two
 * of 19 TFLOP at once took 13% longer than one after the other (bench/RESULTS.md).
 */
const small = { stepFlops: 2e12, trials: 4 } as const;

/**
 * Trials at once when nobody says: undefined is one per core.
 * @param stepFlops training FLOPs of the largest trial's step.
 */
export function defaultTrialsAtOnce(device: string, stepFlops: number): number | undefined {
  if (device === "cpu") return undefined;
  return stepFlops < small.stepFlops ? small.trials : 1;
}

/** Physical cores this process may use: hyper-threads of one core share its vector units and count once. */
export function physicalCores(): number {
  const allowed = availableParallelism();
  try {
    return Math.min(allowed, countPhysicalCores(readFileSync("/proc/cpuinfo", "utf8")) || allowed);
  } catch {
    return allowed;
  }
}

/** Distinct (socket, core) pairs in the text of /proc/cpuinfo; 0 when it does not name them. */
export function countPhysicalCores(cpuinfo: string): number {
  const cores = new Set<string>();
  for (const processor of cpuinfo.split("\n\n")) {
    const socket = /^physical id\s*:\s*(\d+)$/m.exec(processor)?.[1];
    const core = /^core id\s*:\s*(\d+)$/m.exec(processor)?.[1];
    if (socket !== undefined && core !== undefined) cores.add(`${socket}/${core}`);
  }
  return cores.size;
}
