// The pool: keeps K worker processes, each with one trial at a time or several, busy with the jobs that a director names, until all of them are done, here or
// elsewhere, and no more will come. It does no work itself and trusts no worker: the files say what is finished, and
// whatever way a worker dies, another takes its place.
// Two pools on one folder (two terminals, two machines) cooperate through the claims, and each waits for the last trial.

import { type Diagnostic, exitCodes, LayermixError } from "../diag/diagnostic.js";
import { endClaim, HeartbeatWatch, silenceMilliseconds } from "../study/claim.js";
import { recordCrash } from "../study/crash_record.js";
import { identifyProcess, liveness, type ProcessIdentity } from "../study/process_identity.js";
import { studyLayout, trialLayout } from "../study/study_layout.js";
import type { TrialJob } from "../study/trial.js";
import { readTrialStatus, type TrialStatus } from "../study/trial_status.js";
import { type Blame, blameTrial, type ProcessEnd } from "./worker_death.js";
import type { FromWorker, WorkerOrder } from "./worker_messages.js";
import { WorkerProcess } from "./worker_process.js";

/** Says what is to be run. Asked again and again while the study runs; must answer at once. */
export interface Director {
  /**
   * @param idle workers for which there is no job.
   */
  next(idle: number): WorkList;
}

export interface WorkList {
  /** Every job so far, in the order they should be taken; the same array while nothing has changed. */
  readonly jobs: readonly TrialJob[];
  /** "open": more may come when others are done; "closed": nothing will be added; "halted": stop now, and save. */
  readonly state: "open" | "closed" | "halted";
}

export interface PoolOptions extends Omit<WorkerOrder, "kind"> {
  readonly director: Director;
  /** Processes. */
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
  /** A job is done, here or elsewhere: its trial has ended or paused. Every job gives one, those done before included. */
  | { readonly kind: "settled"; readonly job: TrialJob; readonly status: TrialStatus }
  /** A worker died; `blamed` says why it counts against the trial, or is absent when it was killed from outside. */
  | {
      readonly kind: "died";
      readonly trial: string;
      readonly end: string;
      readonly blamed?: string;
    };

export interface PoolOutcome {
  /** Every job is done, and no more will come. */
  readonly complete: boolean;
}

/** A trial, and the claim by which a worker held it. */
interface HeldTrial {
  readonly id: string;
  readonly claim: NonNullable<TrialStatus["claim"]>;
}

const tickMilliseconds = 500;
/** Looking at a study of many thousand trials takes time; at most this share of it is spent so. */
const lookingShare = 0.1;
/** Workers that die in a row before they are ready: the installation is broken, not the trials. */
const startLimit = 3;
/** Kills from outside in a row, without a step of progress between them, after which a trial is given up. */
const killLimit = 10;

/** Runs the jobs. Throws what a worker reported as fatal (disk, device), or LMX4010 when none can be started. */
export function runPool(options: PoolOptions): Promise<PoolOutcome> {
  return new Pool(options).run();
}

class Pool {
  readonly #options: PoolOptions;
  #order: WorkerOrder;
  readonly #here: ProcessIdentity = identifyProcess();
  readonly #watch = new HeartbeatWatch();
  readonly #workers = new Map<number, WorkerProcess>(); // by slot
  readonly #open = new Map<string, TrialJob>(); // by trial: jobs not known to be done, in order
  readonly #settled = new Set<string>(); // keys of jobs that are done
  #work: WorkList = { jobs: [], state: "open" };
  readonly #kills = new Map<string, { step: number; count: number }>();
  #failedStarts = 0;
  #lookMilliseconds = 0;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(options: PoolOptions) {
    this.#options = options;
    const { studyFolder, device, threads, trialsAtOnce, checkpointSeconds, keepCheckpoints } = options;
    this.#order = {
      kind: "order",
      studyFolder,
      device,
      threads,
      trialsAtOnce,
      checkpointSeconds,
      keepCheckpoints,
    };
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
        if (this.#done) this.#stopAll();
        if (this.#workers.size === 0 && (this.#leaving || this.#done)) break;
        await this.#pause();
      }
    } finally {
      this.#killAll();
      stop.removeEventListener("abort", onStop);
      kill.removeEventListener("abort", onKill);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return { complete: this.#done };
  }

  get #leaving(): boolean {
    if (this.#failure !== undefined || this.#work.state === "halted") return true;
    return this.#options.stop.aborted || this.#options.kill.aborted;
  }

  get #mostTrials(): number {
    return this.#options.workers * this.#order.trialsAtOnce;
  }

  get #done(): boolean {
    return this.#work.state === "closed" && this.#open.size === 0;
  }

  /** Brings the jobs and their states up to date, and sees to it that workers are on what is free. */
  #look(): void {
    this.#ask(0);
    let found = this.#scan();
    // What has just settled, or a worker without a job, may lead to further jobs.
    while (this.#ask(Math.max(0, this.#mostTrials - found.ours - found.free))) found = this.#scan();
    if (this.#work.state === "halted") this.#stopAll();
    else this.#employ(found.free);
  }

  /** Asks the director; true when there are other jobs than before. */
  #ask(idle: number): boolean {
    const before = this.#work;
    this.#work = this.#options.director.next(idle);
    if (this.#work.jobs === before.jobs) return false;
    this.#open.clear();
    for (const job of this.#work.jobs) if (!this.#settled.has(keyOf(job))) this.#open.set(job.id, job);
    for (const worker of this.#workers.values()) worker.give(this.#work.jobs);
    return true;
  }

  /** Reads the state of every open job and ends claims that have gone silent. Returns how many are free, and ours. */
  #scan(): { readonly free: number; readonly ours: number } {
    let free = 0;
    let ours = 0;
    for (const job of [...this.#open.values()]) {
      const status = readTrialStatus(this.#options.studyFolder, job.id, this.#here, job.until);
      if (status.outcome !== undefined || status.rung !== undefined) {
        this.#open.delete(job.id);
        this.#settled.add(keyOf(job));
        this.#options.onEvent({ kind: "settled", job, status });
      } else if (status.state === "running") {
        if (this.#isOurs(status)) ours++;
        else this.#endIfSilent(status);
      } else {
        free++;
      }
    }
    return { free, ours };
  }

  /** Puts workers on `free` jobs: those that are looking already, then those that wait, then new ones. */
  #employ(free: number): void {
    const workers = [...this.#workers.values()];
    let wanted = workers.reduce((left, worker) => left - worker.looking, free);
    for (const worker of workers) {
      if (wanted <= 0) return;
      if (worker.idle === 0) continue;
      wanted -= worker.idle;
      worker.give(this.#work.jobs);
    }
    for (let slot = 0; slot < this.#options.workers && wanted > 0; slot++) {
      if (this.#workers.has(slot)) continue;
      this.#start(slot);
      wanted -= this.#order.trialsAtOnce;
    }
  }

  #endIfSilent({ id, claim }: TrialStatus): void {
    if (claim === undefined) return;
    const allowed = this.#options.silenceMilliseconds ?? silenceMilliseconds;
    if (this.#watch.silence(id, claim, performance.now()) < allowed) return;
    endClaim(
      trialLayout.claims(studyLayout.trial(this.#options.studyFolder, id)),
      claim.generation,
      "silent",
    );
  }

  /** Whether one of this pool's workers holds the trial: its exit would tell us that it is gone. */
  #isOurs({ claim }: TrialStatus): boolean {
    const owner = claim?.record?.owner;
    if (owner === undefined) return false;
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
    worker.give(this.#work.jobs);
  }

  #receive(message: FromWorker): void {
    if (message.kind === "ready") this.#failedStarts = 0;
    if (message.kind === "claimed") this.#noteProgress(message.id, message.step);
    if (message.kind === "fatal") this.#fail(new LayermixError(message.diagnostics, message.exitCode));
    else this.#options.onEvent(message);
    if (message.kind === "ended" || message.kind === "idle") this.#wake();
  }

  /** A worker has exited; decides whether its trial is to blame, and then lets others have what it held. */
  #bury(worker: WorkerProcess, end: ProcessEnd): void {
    if (end.code === 0 || this.#leaving) return;
    const described = end.signal ?? `exit code ${end.code}`;
    const held = this.#heldBy(worker);
    if (held.length === 0 && !worker.ready && end.signal !== "SIGKILL")
      this.#countFailedStart(worker, described);
    const blame = blameTrial(end, worker.oomKills);
    if (blame !== undefined && held.length > 1) this.#separate();
    for (const { id, claim } of held) {
      const folder = studyLayout.trial(this.#options.studyFolder, id);
      const blamed = (held.length === 1 ? blame : undefined) ?? this.#tooManyKills(id);
      if (blamed !== undefined) recordCrash(folder, id, blamed, worker.lastWords());
      endClaim(trialLayout.claims(folder), claim.generation, "dead");
      this.#options.onEvent({
        kind: "died",
        trial: id,
        end: described,
        ...(blamed === undefined ? {} : { blamed: blamed.reason }),
      });
    }
  }

  /**
   * A worker has crashed with several trials, and nobody knows which of them did it: from now on a worker has one at a time. There are no
   * more workers for it: processes that do not know of each other would each take the device's memory for their own.
   */
  #separate(): void {
    this.#order = { ...this.#order, trialsAtOnce: 1 };
  }

  /** The trials that a dead worker held when it died. Their claims tell; its last messages may not have arrived yet. */
  #heldBy(worker: WorkerProcess): HeldTrial[] {
    const held: HeldTrial[] = [];
    for (const id of this.#open.keys()) {
      const { claim, outcome } = readTrialStatus(this.#options.studyFolder, id, this.#here);
      const owner = claim?.record?.owner;
      if (claim === undefined || outcome !== undefined || claim.ended || owner?.pid !== worker.pid) continue;
      if (owner !== undefined && liveness(owner, this.#here) === "dead") held.push({ id, claim });
    }
    return held;
  }

  #noteProgress(id: string, step: number): void {
    const kills = this.#kills.get(id);
    if (kills === undefined || step > kills.step) this.#kills.set(id, { step, count: 0 });
  }

  #tooManyKills(id: string): Blame | undefined {
    const kills = this.#kills.get(id) ?? { step: 0, count: 0 };
    this.#kills.set(id, { step: kills.step, count: kills.count + 1 });
    if (kills.count + 1 < killLimit) return undefined;
    return { cause: "killed", reason: `killed ${killLimit} times without progress` };
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

function keyOf({ id, until }: TrialJob): string {
  return `${id}@${until}`;
}
