// The pool: keeps K worker processes busy until every trial of the study has ended, here or elsewhere. It does no work
// itself and trusts no worker: the files say what is finished, and whatever way a worker dies, another takes its place.
// Two pools on one folder (two terminals, two machines) cooperate through the claims, and each waits for the last trial.

import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { endClaim, HeartbeatWatch, silenceMilliseconds } from "../study/claim.js";
import { recordCrash } from "../study/crash_record.js";
import { identifyProcess, liveness, type ProcessIdentity } from "../study/process_identity.js";
import { studyLayout, trialLayout } from "../study/study_layout.js";
import { readTrialStatus, type TrialStatus } from "../study/trial_status.js";
import { blameTrial, type ProcessEnd } from "./worker_death.js";
import type { FromWorker, WorkerOrder } from "./worker_messages.js";
import { WorkerProcess } from "./worker_process.js";

export interface PoolOptions extends Omit<WorkerOrder, "kind"> {
  readonly workers: number;
  /** How long a heartbeat may stand still before its owner is given up; 60 s by default. */
  readonly silenceMilliseconds?: number;
  /** Aborted once to finish the step and save; the promise then resolves with complete = false. */
  readonly stop: AbortSignal;
  /** Aborted to leave at once. */
  readonly kill: AbortSignal;
  readonly onEvent: (event: PoolEvent) => void;
}

export type PoolEvent =
  | FromWorker
  /** A trial has ended, here or elsewhere; every trial gives exactly one, those that had ended before included. */
  | { readonly kind: "settled"; readonly id: string; readonly status: TrialStatus }
  /** A worker died; `blamed` says why it counts against the trial, or is absent when it was killed from outside. */
  | {
      readonly kind: "died";
      readonly trial: string;
      readonly end: string;
      readonly blamed?: string;
    };

export interface PoolOutcome {
  /** Every trial has ended. */
  readonly complete: boolean;
}

const tickMilliseconds = 500;
/** Looking at a study of many thousand trials takes time; at most this share of it is spent so. */
const lookingShare = 0.1;
/** Workers that die in a row before they are ready: the installation is broken, not the trials. */
const startLimit = 3;
/** Kills from outside in a row, without a step of progress between them, after which a trial is given up. */
const killLimit = 10;

/** Runs the trials. Throws what a worker reported as fatal (disk, device), or LMX4010 when none can be started. */
export function runPool(options: PoolOptions): Promise<PoolOutcome> {
  return new Pool(options).run();
}

class Pool {
  readonly #options: PoolOptions;
  readonly #order: WorkerOrder;
  readonly #here: ProcessIdentity = identifyProcess();
  readonly #watch = new HeartbeatWatch();
  readonly #workers = new Map<number, WorkerProcess>(); // by slot
  readonly #open: Set<string>; // trials not known to have ended, in order
  readonly #kills = new Map<string, { step: number; count: number }>();
  #failedStarts = 0;
  #lookMilliseconds = 0;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(options: PoolOptions) {
    this.#options = options;
    const { studyFolder, trials, device, threads, checkpointSeconds, keepCheckpoints } = options;
    this.#order = {
      kind: "order",
      studyFolder,
      trials,
      device,
      threads,
      checkpointSeconds,
      keepCheckpoints,
    };
    this.#open = new Set(trials);
  }

  async run(): Promise<PoolOutcome> {
    const { stop, kill } = this.#options;
    const onStop = (): void => this.#stopAll();
    const onKill = (): void => this.#killAll();
    stop.addEventListener("abort", onStop);
    kill.addEventListener("abort", onKill);
    try {
      for (;;) {
        const begin = performance.now();
        if (!this.#leaving) this.#guard(() => this.#look());
        this.#lookMilliseconds = performance.now() - begin;
        if (this.#workers.size === 0 && (this.#leaving || this.#open.size === 0)) break;
        await this.#pause();
      }
    } finally {
      this.#killAll();
      stop.removeEventListener("abort", onStop);
      kill.removeEventListener("abort", onKill);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return { complete: this.#open.size === 0 };
  }

  get #leaving(): boolean {
    return this.#failure !== undefined || this.#options.stop.aborted || this.#options.kill.aborted;
  }

  /** Reads the state of every open trial, ends claims that have gone silent, and starts workers for what is free. */
  #look(): void {
    let free = 0;
    for (const id of this.#open) {
      const status = readTrialStatus(this.#options.studyFolder, id, this.#here);
      if (status.outcome !== undefined) {
        this.#open.delete(id);
        this.#options.onEvent({ kind: "settled", id, status });
      } else if (status.state === "running") {
        this.#endIfSilent(status);
      } else {
        free++;
      }
    }
    const looking = [...this.#workers.values()].filter((worker) => worker.trial === undefined).length;
    for (let slot = 0; slot < this.#options.workers && free > looking; slot++) {
      if (this.#workers.has(slot)) continue;
      this.#start(slot);
      free--;
    }
  }

  #endIfSilent({ id, claim }: TrialStatus): void {
    if (claim === undefined) return;
    if (claim.record !== undefined && this.#isOurs(claim.record.owner)) return; // its exit would tell us
    const allowed = this.#options.silenceMilliseconds ?? silenceMilliseconds;
    if (this.#watch.silence(id, claim, performance.now()) < allowed) return;
    endClaim(
      trialLayout.claims(studyLayout.trial(this.#options.studyFolder, id)),
      claim.generation,
      "silent",
    );
  }

  #isOurs(owner: ProcessIdentity): boolean {
    const here = owner.host === this.#here.host && owner.namespace === this.#here.namespace;
    return here && [...this.#workers.values()].some((worker) => worker.pid === owner.pid);
  }

  #start(slot: number): void {
    const worker: WorkerProcess = new WorkerProcess(this.#order, slot, {
      message: (message) => this.#receive(message),
      end: (end) => {
        this.#workers.delete(slot);
        this.#guard(() => this.#bury(worker, end));
        this.#wake();
      },
    });
    this.#workers.set(slot, worker);
  }

  #receive(message: FromWorker): void {
    if (message.kind === "ready") this.#failedStarts = 0;
    if (message.kind === "claimed") this.#noteProgress(message.id, message.step);
    if (message.kind === "fatal") this.#fail(new LayermixError(message.diagnostics, message.exitCode));
    else this.#options.onEvent(message);
    if (message.kind === "ended") this.#wake();
  }

  /** A worker has exited; decides whether its trial is to blame, and then lets others have it. */
  #bury(worker: WorkerProcess, end: ProcessEnd): void {
    if (end.code === 0 || this.#leaving) return;
    const described = end.signal ?? `exit code ${end.code}`;
    const held = this.#heldBy(worker);
    if (held?.claim === undefined) {
      if (!worker.ready && end.signal !== "SIGKILL") this.#countFailedStart(worker, described);
      return;
    }
    const { id, claim } = held;
    const folder = studyLayout.trial(this.#options.studyFolder, id);
    const blamed = blameTrial(end, worker.oomKills) ?? this.#tooManyKills(id);
    if (blamed !== undefined) recordCrash(folder, id, blamed, worker.lastWords());
    endClaim(trialLayout.claims(folder), claim.generation, "dead");
    this.#options.onEvent({
      kind: "died",
      trial: id,
      end: described,
      ...(blamed === undefined ? {} : { blamed }),
    });
  }

  /** The trial a dead worker held when it died. Its claim tells; its last messages may not have arrived yet. */
  #heldBy(worker: WorkerProcess): TrialStatus | undefined {
    for (const id of this.#open) {
      const status = readTrialStatus(this.#options.studyFolder, id, this.#here);
      const owner = status.claim?.record?.owner;
      if (status.outcome !== undefined || status.claim?.ended || owner?.pid !== worker.pid) continue;
      if (owner !== undefined && liveness(owner, this.#here) === "dead") return status;
    }
    return undefined;
  }

  #noteProgress(id: string, step: number): void {
    const kills = this.#kills.get(id);
    if (kills === undefined || step > kills.step) this.#kills.set(id, { step, count: 0 });
  }

  #tooManyKills(id: string): string | undefined {
    const kills = this.#kills.get(id) ?? { step: 0, count: 0 };
    this.#kills.set(id, { step: kills.step, count: kills.count + 1 });
    return kills.count + 1 < killLimit ? undefined : `killed ${killLimit} times without progress`;
  }

  #countFailedStart(worker: WorkerProcess, described: string): void {
    if (++this.#failedStarts < startLimit) return;
    const lines = worker.lastWords();
    const diagnostic: Diagnostic = {
      code: "LMX4010",
      severity: "error",
      message: `Expected a worker process to start, got ${described}${lines.length === 0 ? "" : `: ${lines.at(-1)}`}`,
      help: ["Run layermix doctor; it loads the native library and says what is wrong with it."],
    };
    this.#fail(new LayermixError(diagnostic, exitCodes.internal));
  }

  /** Nothing can go on: the first reason stands, the workers save what they have. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stopAll();
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #stopAll(): void {
    for (const worker of this.#workers.values()) worker.stop();
    this.#wake();
  }

  #killAll(): void {
    for (const worker of this.#workers.values()) worker.kill();
    this.#wake();
  }

  /** Until the next tick, or until there is something worth a look. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(tickMilliseconds, this.#lookMilliseconds / lookingShare));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
