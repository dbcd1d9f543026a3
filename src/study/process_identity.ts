// Which process is this, and does it still live? A process id alone says little: it is reused, it means nothing on
// another machine or in another container, and it is back after a reboot. So an owner is recorded with its machine,
// boot, process-id namespace and start time (Linux /proc), and is called dead only when all of that proves it.

import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process; null where /proc does not tell. */
  readonly startTicks: number | null;
  readonly host: string;
  /** Changes with every boot; "" where unknown. */
  readonly boot: string;
  /** Process-id namespace ("pid:[4026531836]"); "" where unknown. */
  readonly namespace: string;
}

/** "unknown" is the answer about other machines and containers: only a silent heartbeat can tell there. */
export type Liveness = "alive" | "dead" | "unknown";

/** The identity of a process on this machine (by default, this one). */
export function identifyProcess(pid: number = process.pid): ProcessIdentity {
  return {
    pid,
    startTicks: processStat(pid)?.startTicks ?? null,
    host: hostname(),
    boot: readOr("", () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    namespace: readOr("", () => readlinkSync("/proc/self/ns/pid")),
  };
}

/** Whether the recorded process still runs, as far as this process can prove. */
export function liveness(owner: ProcessIdentity, here: ProcessIdentity = identifyProcess()): Liveness {
  if (owner.host !== here.host) return "unknown";
  if (owner.boot !== here.boot) return "dead"; // the same machine has been started anew since
  if (owner.namespace !== here.namespace) return "unknown";
  if (!exists(owner.pid)) return "dead";
  const stat = processStat(owner.pid);
  if (stat === undefined) return "alive";
  if (stat.state === "Z" || stat.state === "X") return "dead"; // killed, only not yet reaped
  if (owner.startTicks !== null && stat.startTicks !== owner.startTicks) return "dead"; // its id was reused
  return "alive";
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's process, but a process
  }
}

/** State letter and start time from /proc/PID/stat (fields 3 and 22; the command in field 2 may hold anything). */
function processStat(pid: number): { readonly state: string; readonly startTicks: number } | undefined {
  const text = readOr(undefined, () => readFileSync(`/proc/${pid}/stat`, "utf8"));
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTicks: Number(fields[19]) };
}

function readOr<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch {
    return fallback;
  }
}
