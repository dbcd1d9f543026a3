// Runs one claimed trial from wherever it stands to its end: restore, then train some steps at a time, log, evaluate, save.
// What is written to metrics.jsonl and result.json depends on the trial alone. When something is saved, or how often the
// run was interrupted, depends on the clock - and leaves no trace in them.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { canonicalJson } from "../study/canonical_json.js";
import { studyFormat } from "../study/json_file.js";
import { isEvaluation, type MetricsLine, MetricsLog, NoLongerOurs } from "../study/metrics_log.js";
import { publishResult, type TrialEvaluation, type TrialResult } from "../study/outcome.js";
import { publishRung } from "../study/rung.js";
import { trialLayout } from "../study/study_layout.js";
import type { TrialDefinition, TrialFile } from "../study/trial.js";
import { createTask } from "../task/create_task.js";
import type { EvaluatedBatch, Metrics, Task } from "../task/task.js";
import { BatchesAhead } from "./batches_ahead.js";
import {
  type CheckpointedTrainer,
  removeCheckpoints,
  restoreCheckpoint,
  saveCheckpoint,
} from "./checkpoint.js";
import type { ClaimHold } from "./claim_hold.js";
import type { DeviceMemory, FittedTrainer } from "./fit_trainer.js";
import type { NativeLibrary, NativeStepResult, NativeTrainer, NativeTrainerConfig } from "./native.js";
import { removeStrayFiles } from "./stray_files.js";
import { TrialClock } from "./trial_clock.js";
import type { FromWorker, TrialEnd, WorkerOrder } from "./worker_messages.js";

export interface TrialRun {
  readonly native: NativeLibrary;
  /** Shared with the other trials of the process. */
  readonly memory: DeviceMemory;
  readonly trialFolder: string;
  readonly file: TrialFile;
  /** The step to reach for now: the last one, or an evaluation step where the trial pauses. */
  readonly until: number;
  readonly hold: ClaimHold;
  /** At most so many steps in one call of the trainer; by default, as many as take a moment. */
  readonly stepsPerCall?: number;
  /** Aborted to save and give the trial back after the steps at hand. */
  readonly stop: AbortSignal;
  readonly order: Pick<WorkerOrder, "device" | "threads" | "checkpointSeconds" | "keepCheckpoints">;
  readonly report: (message: FromWorker) => void;
}

/** At most about this many training lines per trial: longer runs log every n-th step. */
const maxTrainLines = 2_000;
const reportMilliseconds = 250;

/**
 * Runs the trial. Ends the claim, except when it was lost.
 * Throws LMX4008 when the data are no longer those the trial was defined with; disk errors; what the library throws.
 */
export async function runTrial(run: TrialRun): Promise<TrialEnd> {
  const { definition } = run.file;
  if (!run.hold.check()) return "lost"; // stray files may be its successor's
  removeStrayFiles(run.trialFolder);
  const task = await taskOf(run.file);
  const ending = AbortSignal.any([run.stop, run.hold.ending]);
  const fitted = await run.memory.fit(
    run.native,
    trainerConfig(definition, run.order),
    run.trialFolder,
    ending,
  );
  if (fitted === undefined) return giveBack(run.hold);
  try {
    return await new TrialSession(run, task, fitted).run();
  } catch (error) {
    if (error instanceof NoLongerOurs) return "lost";
    throw error;
  } finally {
    run.memory.free(fitted.trainer);
  }
}

class TrialSession {
  readonly #run: TrialRun;
  readonly #definition: TrialDefinition;
  readonly #task: Task;
  readonly #trainer: NativeTrainer;
  readonly #log: MetricsLog;
  readonly #clock: TrialClock;
  readonly #evaluations: TrialEvaluation[] = [];
  readonly #smaller: { readonly microBatch?: number };
  readonly #batches: BatchesAhead;
  /** Steps that count: the trainer may be further on, with a call in flight or after a loss that was lost. */
  #step: number;
  #reportedAt = 0;

  constructor(run: TrialRun, task: Task, { trainer, ...smaller }: FittedTrainer) {
    this.#run = run;
    this.#definition = run.file.definition;
    this.#task = task;
    this.#trainer = trainer;
    this.#smaller = smaller;
    this.#batches = new BatchesAhead(task, this.#definition.batch);
    const restored = restoreCheckpoint(run.trialFolder, this.#checkpointed);
    const metrics = trialLayout.metrics(run.trialFolder);
    this.#log = new MetricsLog(metrics, restored?.metricsBytes ?? 0, () => run.hold.check());
    for (const line of restored?.lines ?? []) this.#remember(line);
    this.#clock = new TrialClock(run, task.sequence * this.#definition.batch);
    this.#step = trainer.stepIndex;
    run.report({ kind: "claimed", id: run.file.id, step: this.#step });
  }

  get #checkpointed(): CheckpointedTrainer {
    const type = this.#definition.precision === "fp64" ? "float64" : "float32";
    return { trainer: this.#trainer, id: this.#run.file.id, type };
  }

  async run(): Promise<TrialEnd> {
    try {
      return await this.#loop();
    } finally {
      this.#log.close();
    }
  }

  async #loop(): Promise<TrialEnd> {
    for (;;) {
      const due = this.#due();
      if (due === "lost") return "lost";
      if (due === "done") return this.#finish("done");
      if (due === "pause") return this.#pause();
      if (due === "stop") return this.#giveBack();
      if (due === "evaluation") {
        const metrics = await this.#evaluate();
        if (metrics === undefined) return this.#giveBack();
        this.#append({ step: this.#step, eval: { ...metrics } });
        if (!Number.isFinite(metrics.loss)) return this.#finish("diverged");
        continue;
      }
      if (due === "save") this.#save();
      if (!(await this.#train())) return this.#finish("diverged");
    }
  }

  /**
   * Trains until something else is due. While one call runs, the lines of the call before are written and the batches of the call after
   * are made. False when the trial has diverged: the steps that its call took after that one do not count.
   */
  async #train(): Promise<boolean> {
    let running: Promise<readonly NativeStepResult[]> | undefined = this.#call();
    try {
      while (running !== undefined) {
        const results: readonly NativeStepResult[] = await running;
        const lost = results.findIndex(hasDiverged);
        const counted = lost === -1 ? results : results.slice(0, lost + 1);
        this.#step = counted.at(-1)!.step;
        running = lost !== -1 || this.#due() !== undefined ? undefined : this.#call();
        for (const result of counted) this.#logStep(result);
        if (lost !== -1) return false;
      }
      return true;
    } finally {
      await Promise.allSettled([running]); // where a line could not be written, the trainer must be idle before it is disposed of
    }
  }

  /** Starts the next steps, and makes the batches of as many after them. */
  #call(): Promise<readonly NativeStepResult[]> {
    const from = this.#step;
    const most = this.#run.stepsPerCall ?? this.#clock.stepsPerCall;
    const to = Math.min(from + most, this.#nextStop);
    const batches = this.#batches.take(from, to);
    const running = this.#clock.train(() => this.#trainer.train(batches));
    this.#batches.make(to, Math.min(to + batches.length, this.#definition.steps));
    return running;
  }

  /** What comes before the next step, the most pressing first; undefined for nothing. */
  #due(): "lost" | "evaluation" | "done" | "pause" | "stop" | "save" | undefined {
    const { hold, stop, order, until } = this.#run;
    if (hold.lost) return "lost";
    if (this.#evaluationDue()) return "evaluation";
    if (this.#step === this.#definition.steps) return "done";
    if (this.#step >= until) return "pause";
    if (stop.aborted) return "stop";
    return this.#clock.saveDue(order.checkpointSeconds) ? "save" : undefined;
  }

  /** The step after which the trial is evaluated, paused or done. */
  get #nextStop(): number {
    const { steps, evaluateEverySteps } = this.#definition;
    const nextEvaluation = (Math.floor(this.#step / evaluateEverySteps) + 1) * evaluateEverySteps;
    return Math.min(nextEvaluation, this.#run.until, steps);
  }

  #logStep(result: NativeStepResult): void {
    const { step, loss, gradNorm, learningRate } = result;
    const { steps } = this.#definition;
    const every = Math.ceil(steps / maxTrainLines);
    if (hasDiverged(result) || step % every === 0 || step === steps) {
      this.#append({
        step,
        tokens: this.#tokensAt(step),
        loss: orNull(loss),
        gradNorm: orNull(gradNorm),
        learningRate,
        ...this.#smaller,
      });
    }
    this.#report(step, orNull(loss));
  }

  #evaluationDue(): boolean {
    const step = this.#step;
    if (step === 0 || this.#evaluations.at(-1)?.step === step) return false;
    return step === this.#definition.steps || step % this.#definition.evaluateEverySteps === 0;
  }

  /** Held-out figures, or undefined when the run is to stop: the evaluation is then made again on resuming. */
  async #evaluate(): Promise<Metrics | undefined> {
    const rows = this.#definition.microBatch;
    const evaluated: EvaluatedBatch[] = [];
    for (let index = 0; index < this.#task.evaluationBatches(rows); index++) {
      if (this.#run.stop.aborted || this.#run.hold.lost) return undefined;
      const batch = this.#task.evaluationBatch(index, rows);
      const { loss, correct } = await this.#clock.evaluate(() =>
        this.#trainer.evaluate(batch.tokens, batch.targets),
      );
      evaluated.push({ batch, loss, correct });
    }
    return this.#task.measure(evaluated);
  }

  #append(line: MetricsLine): void {
    this.#log.append(line);
    this.#remember(line);
  }

  #remember(line: MetricsLine): void {
    if (isEvaluation(line))
      this.#evaluations.push({ step: line.step, metrics: line.eval as unknown as Metrics });
  }

  #save(): void {
    this.#clock.save(() =>
      saveCheckpoint(this.#run.trialFolder, this.#checkpointed, {
        metrics: this.#log.sync(),
        build: this.#run.native.info().build,
      }),
    );
  }

  #giveBack(): TrialEnd {
    return giveBack(this.#run.hold, () => this.#save());
  }

  /** Saves, publishes what was measured at the step to reach, and gives the trial back until more is asked of it. */
  #pause(): TrialEnd {
    const { trialFolder, file, hold, until } = this.#run;
    const reached = this.#evaluations.find(({ step }) => step === until);
    if (reached === undefined) throw new RangeError(`Expected an evaluation at step ${until} of ${file.id}`);
    if (!hold.check()) return "lost";
    this.#save();
    publishRung(trialFolder, {
      id: file.id,
      step: until,
      tokens: this.#tokensAt(until),
      metrics: reached.metrics,
    });
    hold.end("released");
    return "paused";
  }

  #finish(status: TrialResult["status"]): TrialEnd {
    const { trialFolder, file, hold, order } = this.#run;
    if (!hold.check()) return "lost";
    const diverged = status === "diverged"; // its last checkpoint holds the last weights that were numbers
    if (order.keepCheckpoints && !diverged) this.#save();
    const log = this.#log.sync();
    this.#clock.record();
    const last = this.#evaluations.at(-1);
    const steps = this.#step;
    publishResult(trialFolder, {
      format: studyFormat,
      id: file.id,
      status,
      steps,
      tokens: this.#tokensAt(steps),
      ...this.#smaller,
      ...(status === "done" && last !== undefined ? { metrics: last.metrics } : {}),
      evaluations: this.#evaluations,
      log,
    });
    hold.end("finished");
    if (!order.keepCheckpoints && !diverged) removeCheckpoints(trialFolder);
    return status;
  }

  #tokensAt(step: number): number {
    return step * this.#definition.batch * this.#definition.sequence;
  }

  #report(step: number, loss: number | null): void {
    const now = performance.now();
    if (now - this.#reportedAt < reportMilliseconds && step !== this.#definition.steps) return;
    this.#reportedAt = now;
    const { id } = this.#run.file;
    this.#run.report({ kind: "progress", id, step, loss, tokensPerSecond: this.#clock.tokensPerSecond });
  }
}

/** Lets others have the trial. */
function giveBack(hold: ClaimHold, save: () => void = () => {}): TrialEnd {
  if (!hold.check()) return "lost";
  save();
  hold.end("released");
  return "released";
}

function trainerConfig(
  definition: TrialDefinition,
  order: Pick<WorkerOrder, "device" | "threads">,
): NativeTrainerConfig {
  const { model, optimizer, batch, microBatch, sequence, precision, seed, initStd } = definition;
  const { device, threads } = order;
  return { model, optimizer, batch, microBatch, sequence, precision, seed, initStd, device, threads };
}

/** The task of a trial; its content must still be what the trial was defined with. */
async function taskOf({ id, definition, source }: TrialFile): Promise<Task> {
  const { sequence, seed } = definition;
  const spec = { task: definition.task.name, weight: 1, options: source.options };
  const task = await createTask({ sequence }, spec, seed, source.folder);
  if (canonicalJson(task.identity) === canonicalJson(definition.task.identity)) return task;
  throw new LayermixError(
    {
      code: "LMX4008",
      severity: "error",
      message: `Expected the data of trial ${id} as they were when the study began, got other content`,
      help: ["Run layermix sweep again: trials are defined anew from the files as they are now."],
    },
    exitCodes.invalidFile,
  );
}

/**
 * A loss that is not a finite number comes from weights that are lost already; a gradient norm that is not comes first, and makes such
 * weights of those that gave it: what is saved after a step where both are finite is good.
 */
function hasDiverged({ loss, gradNorm }: NativeStepResult): boolean {
  return !Number.isFinite(loss) || !Number.isFinite(gradNorm);
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
