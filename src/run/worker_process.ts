// The pool's end of one worker: starts the process, passes its messages on, keeps its log, and knows how it ended.

import { type ChildProcess, fork } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onDisk } from "../study/storage_error.js";
import { studyLayout } from "../study/study_layout.js";
import type { TrialJob } from "../study/trial.js";
import { countOomKills, type ProcessEnd } from "./worker_death.js";
import type { FromWorker, ToWorker, WorkerOrder } from "./worker_messages.js";

/** Lines of a dead worker's log that are kept with the crash. */
const lastLines = 20;
/** Threads of libuv's pool beside those in which the trials train, for files and the like: as many as it has by default. */
const otherThreads = 4;
const entry = fileURLToPath(new URL("../../bin/worker.js", import.meta.url));

export class WorkerProcess {
  readonly pid: number | undefined;
  ready = false;
  readonly #trialsAtOnce: number;
  /** Trials that it said it has taken, until it says that they have ended: never more than it was asked to run. */
  readonly #trials = new Set<string>();
  #idle = 0;
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #oomKillsBefore = countOomKills();

  /** Starts a worker on this order; `slot` (0, 1, ...) names its log. */
  constructor(
    order: WorkerOrder,
    slot: number,
    on: { readonly message: (message: FromWorker) => void; readonly end: (end: ProcessEnd) => void },
  ) {
    this.#trialsAtOnce = order.trialsAtOnce;
    const logs = studyLayout.logs(order.studyFolder);
    // One pool writes each log: its name holds the pool's host and process. Every process it starts appends.
    this.#log = join(logs, `worker-${hostname()}-${process.pid}-${slot}.log`);
    const descriptor = onDisk("write", this.#log, () => {
      mkdirSync(logs, { recursive: true });
      return openSync(this.#log, "a");
    });
    this.#child = fork(entry, [], {
      stdio: ["ignore", descriptor, descriptor, "ipc"],
      env: { UV_THREADPOOL_SIZE: String(order.trialsAtOnce + otherThreads), ...process.env },
    });
    closeSync(descriptor);
    this.pid = this.#child.pid;
    this.#child.on("message", (message) => this.#receive(message as FromWorker, on.message));
    this.#child.once("exit", (code, signal) => on.end({ code, signal }));
    this.#child.once("error", (error) => {
      // Could not be started at all: there is no exit event then.
      if (this.pid === undefined) on.end({ code: (error as { errno?: number }).errno ?? 1, signal: null });
    });
    this.#tell(order);
  }

  /** Further trials that it could run, but found nothing to take: it waits for jobs. */
  get idle(): number {
    return this.#idle;
  }

  /** Further trials that it is looking for. */
  get looking(): number {
    return this.#trialsAtOnce - this.#trials.size - this.#idle;
  }

  /** Tells it what there is to do. */
  give(jobs: readonly TrialJob[]): void {
    this.#idle = 0;
    this.#tell({ kind: "jobs", jobs });
  }

  /** Asks it to save and leave. */
  stop(): void {
    this.#tell({ kind: "stop" });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Processes the kernel has killed for want of memory since this worker started. */
  get oomKills(): number {
    return countOomKills() - this.#oomKillsBefore;
  }

  /** The last lines it wrote to its log. */
  lastWords(): string[] {
    try {
      const lines = readFileSync(this.#log, "utf8").trimEnd().split("\n");
      return lines.slice(-lastLines);
    } catch {
      return []; // a log that cannot be read must not hide the crash it would explain
    }
  }

  #receive(message: FromWorker, pass: (message: FromWorker) => void): void {
    if (message.kind === "ready") this.ready = true;
    if (message.kind === "preparing") this.#trials.add(message.id);
    if (message.kind === "ended") this.#trials.delete(message.id);
    if (message.kind === "idle") this.#idle++;
    // What it said before it heard of new jobs arrives after them: never more than there is room for.
    this.#idle = Math.min(this.#idle, this.#trialsAtOnce - this.#trials.size);
    pass(message);
  }

  #tell(message: ToWorker): void {
    // A worker that has just died cannot be told anything; its exit event says so.
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}
