// Finds the worker processes of a sweep the way an operator would: children of its process, from /proc.
import { readdirSync, readFileSync } from "node:fs";

/** Process ids whose parent is `parent`; none when it has gone. */
export function childrenOf(parent: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [state, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(ppid) === parent && state !== "Z" ? [Number(name)] : [];
    } catch {
      return []; // gone between the listing and the look
    }
  });
}

/** Kills without mercy; true when there was something to kill. */
export function slay(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** A small generator (mulberry32), so that a run of the test can be repeated from its seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
