// One worker process: claims trials in the order given, one at a time or several, runs each to the step it is to reach,
// and waits for more when nothing is left to claim. It serves one pool; when the pool is gone (its channel closes) it
// saves its work and stops, so that a killed sweep leaves no process behind that nobody watches.
// Entry point: bin/worker.js.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { tryClaim } from "../study/claim.js";
import { readJson } from "../study/json_file.js";
import { readOutcome } from "../study/outcome.js";
import { identifyProcess } from "../study/process_identity.js";
import { readRung } from "../study/rung.js";
import { studyLayout, trialLayout } from "../study/study_layout.js";
import type { TrialFile, TrialJob } from "../study/trial.js";
import { ClaimHold } from "./claim_hold.js";
import { DeviceMemory } from "./fit_trainer.js";
import { DeviceFault, guardTrial } from "./guard_trial.js";
import { addonFor, loadNative } from "./load_native.js";
import type { NativeLibrary } from "./native.js";
import { runTrial } from "./run_trial.js";
import type { FromWorker, ToWorker, WorkerOrder } from "./worker_messages.js";

/** How long the other trials of a process may take to meet the fault of their device. */
const faultMilliseconds = 30_000;

/** Serves one pool over the process's IPC channel, then exits. */
export async function serveAsWorker(): Promise<void> {
  const stop = new AbortController();
  process.on("SIGINT", () => {}); // Ctrl-C reaches the whole process group; the pool decides what it means
  process.on("SIGTERM", () => stop.abort());
  process.on("disconnect", () => stop.abort());
  const inbox = new Inbox(stop);
  try {
    const order = await inbox.order;
    if (order !== undefined) await work(order, inbox, stop);
  } catch (error) {
    process.exitCode = await reportFatal(error);
  }
  if (process.connected) process.disconnect();
}

/** What the pool has said: the order, then what there is to do. Everything resolves when the worker is to stop. */
class Inbox {
  readonly order: Promise<WorkerOrder | undefined>;
  #jobs: readonly TrialJob[] = [];
  #news = false;
  #waiting: (() => void)[] = [];

  constructor(stop: AbortController) {
    this.order = new Promise((resolve) => {
      stop.signal.addEventListener("abort", () => {
        resolve(undefined);
        this.#wake();
      });
      process.on("message", (message: ToWorker) => {
        if (message.kind === "stop") stop.abort();
        else if (message.kind === "order") resolve(message);
        else this.#renew(message.jobs);
      });
    });
  }

  /** The jobs as last told. */
  get jobs(): readonly TrialJob[] {
    this.#news = false;
    return this.#jobs;
  }

  /** Until jobs come that have not been read yet. */
  async news(stop: AbortSignal): Promise<void> {
    if (!this.#news && !stop.aborted) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #renew(jobs: readonly TrialJob[]): void {
    this.#jobs = jobs;
    this.#news = true;
    this.#wake();
  }
}

async function work(order: WorkerOrder, inbox: Inbox, stop: AbortController): Promise<void> {
  const native = loadNative(addonFor(order.device));
  send({ kind: "ready", build: native.info().build });
  const bench: Bench = {
    native,
    memory: new DeviceMemory(),
    order,
    inbox,
    stop: stop.signal,
    reached: new Set(),
  };
  const all = Array.from({ length: order.trialsAtOnce }, () =>
    runTrials(bench).catch((error: unknown) => {
      stop.abort(); // the others save and leave
      if (error instanceof DeviceFault) setTimeout(() => process.abort(), faultMilliseconds).unref(); // or hang
      throw error;
    }),
  );
  for (const ended of await Promise.allSettled(all)) if (ended.status === "rejected") throw ended.reason;
}

/** What the trials of a worker share. */
interface Bench {
  readonly native: NativeLibrary;
  readonly memory: DeviceMemory;
  readonly order: WorkerOrder;
  readonly inbox: Inbox;
  readonly stop: AbortSignal;
  /** Keys of jobs known to be done, which need not be looked at again. */
  readonly reached: Set<string>;
}

/** Runs one trial after the other. */
async function runTrials({ native, memory, order, inbox, stop, reached }: Bench): Promise<void> {
  while (!stop.aborted) {
    const claimed = claimNext(order.studyFolder, inbox.jobs, reached);
    if (claimed === undefined) {
      send({ kind: "idle" });
      await inbox.news(stop);
      continue;
    }
    const { trialFolder, file, until, hold } = claimed;
    send({ kind: "preparing", id: file.id });
    const how = await guardTrial({ trialFolder, id: file.id, hold, log }, () =>
      runTrial({ native, memory, trialFolder, file, until, hold, stop, order, report: send }),
    );
    log(`${new Date().toISOString()} ${file.id} ${how}\n`);
    send({ kind: "ended", id: file.id, how });
  }
}

interface ClaimedJob {
  readonly trialFolder: string;
  readonly file: TrialFile;
  readonly until: number;
  readonly hold: ClaimHold;
}

/**
 * The first job that is not done and that nobody else is working on.
 * @param reached keys of jobs known to be done; added to.
 */
function claimNext(
  studyFolder: string,
  jobs: readonly TrialJob[],
  reached: Set<string>,
): ClaimedJob | undefined {
  const here = identifyProcess();
  const pool = identifyProcess(process.ppid);
  for (const job of jobs) {
    const { id, until } = job;
    const key = `${id}@${until}`;
    if (reached.has(key)) continue;
    const trialFolder = studyLayout.trial(studyFolder, id);
    if (hasReached(trialFolder, until)) {
      reached.add(key);
      continue;
    }
    const claim = tryClaim(trialLayout.claims(trialFolder), here, pool);
    if (claim === undefined) continue;
    // Its last owner may have finished between our two looks.
    const file = hasReached(trialFolder, until)
      ? undefined
      : readJson<TrialFile>(trialLayout.definition(trialFolder));
    if (file === undefined) {
      claim.end("released");
      continue;
    }
    log(`${new Date().toISOString()} ${id} claimed (generation ${claim.generation})\n`);
    return { trialFolder, file, until, hold: new ClaimHold(claim) };
  }
  return undefined;
}

function hasReached(trialFolder: string, until: number): boolean {
  return readOutcome(trialFolder) !== undefined || readRung(trialFolder, until) !== undefined;
}

async function reportFatal(error: unknown): Promise<number> {
  log(`${(error as Error).stack ?? error}\n`);
  if (!(error instanceof LayermixError)) return exitCodes.internal;
  const { diagnostics, exitCode } = error;
  const message: FromWorker = { kind: "fatal", diagnostics, exitCode };
  if (process.connected) await new Promise((sent) => process.send!(message, sent));
  return exitCode;
}

/** For the worker's log. */
function log(text: string): void {
  process.stderr.write(text);
}

/** Progress for the pool; a pool that is gone is noticed elsewhere. */
function send(message: FromWorker): void {
  if (process.connected) process.send!(message, () => {});
}
