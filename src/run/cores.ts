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

/**
 * Steps below so many FLOPs share a GPU, so many trials at a time: an H200 needs a few milliseconds for 2 TFLOP in layers this
 * small, about as long as the host's part of a trial - batches, evaluation, checkpoints, starting a process - takes
 * beside it. Larger steps fill the device, and trials take turns.
 */
const sharing = [
  { stepFlops: 2e12, trials: 4 },
  { stepFlops: 8e12, trials: 2 },
] as const;

/**
 * Trials at once when nobody says: undefined is one per core.
 * @param stepFlops training FLOPs of the largest trial's step.
 */
export function defaultWorkers(device: string, stepFlops: number): number | undefined {
  if (!device.startsWith("cuda")) return undefined;
  return sharing.find((share) => stepFlops < share.stepFlops)?.trials ?? 1;
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
