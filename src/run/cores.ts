// How many trials run at once, and with how many threads each. One thread per trial is the most work per second on a
// CPU, so by default there is a worker per physical core; the result of a trial does not depend on its threads.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

export interface Pooling {
  readonly workers: number;
  readonly threadsPerWorker: number;
}

/** Shares `cores` among `workers` (default: one worker per core), never more workers than trials. */
export function shareCores(cores: number, trials: number, workers?: number): Pooling {
  const count = Math.max(1, Math.min(workers ?? cores, trials));
  return { workers: count, threadsPerWorker: Math.max(1, Math.floor(cores / count)) };
}

/** Trials at once when nobody says: undefined is one per core. A GPU takes trials one after the other. */
export function defaultWorkers(device: string): number | undefined {
  return device.startsWith("cuda") ? 1 : undefined;
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
