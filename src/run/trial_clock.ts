// Time spent on a trial, over all attempts, and when to save next. Everything here depends on the clock, so it goes to
// timing.json and to the progress display, never into metrics or results.

import { hostname } from "node:os";
import { studyFormat } from "../study/json_file.js";
import { readTiming, writeTiming } from "../study/outcome.js";
import type { NativeStepResult } from "./native.js";
import type { TrialRun } from "./run_trial.js";
import { stepsPerCall, type TimedCall } from "./steps_per_call.js";

/** Saving may take this share of the time; a slow disk makes checkpoints rarer, not training slower. */
const savingShare = 0.05;

export class TrialClock {
  readonly #run: Pick<TrialRun, "trialFolder" | "order" | "native">;
  readonly #tokensPerStep: number;
  #steps = 0;
  #trainSeconds = 0;
  #evaluationSeconds = 0;
  #deviceSeconds = 0;
  #savedAt = performance.now();
  #saveSeconds = 0;
  #lastCall: TimedCall | undefined;

  constructor(run: Pick<TrialRun, "trialFolder" | "order" | "native">, tokensPerStep: number) {
    this.#run = run;
    this.#tokensPerStep = tokensPerStep;
    const earlier = readTiming(run.trialFolder);
    if (earlier === undefined) return;
    this.#steps = earlier.steps;
    this.#trainSeconds = earlier.trainSeconds;
    this.#evaluationSeconds = earlier.evaluationSeconds;
    this.#deviceSeconds = earlier.deviceSeconds ?? 0;
  }

  get tokensPerSecond(): number {
    return this.#trainSeconds === 0 ? 0 : (this.#steps * this.#tokensPerStep) / this.#trainSeconds;
  }

  /** How many steps to train next before anything else is looked at. */
  get stepsPerCall(): number {
    return stepsPerCall(this.#lastCall, this.#run.order.checkpointSeconds);
  }

  /** Times a call of the trainer. */
  async train(call: () => Promise<readonly NativeStepResult[]>): Promise<readonly NativeStepResult[]> {
    const begin = performance.now();
    const results = await call();
    const seconds = secondsSince(begin);
    this.#trainSeconds += seconds;
    for (const { deviceSeconds } of results) this.#deviceSeconds += deviceSeconds;
    this.#steps += results.length;
    this.#lastCall = { steps: results.length, seconds };
    return results;
  }

  async evaluate<T>(batch: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const result = await batch();
    this.#evaluationSeconds += secondsSince(begin);
    return result;
  }

  /** Whether `everySeconds` have passed since the last save, or more where saving is slow. */
  saveDue(everySeconds: number): boolean {
    return secondsSince(this.#savedAt) >= Math.max(everySeconds, this.#saveSeconds / savingShare);
  }

  /** Saves, and records the time spent so far beside it. */
  save(write: () => void): void {
    const begin = performance.now();
    write();
    this.record();
    this.#saveSeconds = secondsSince(begin);
    this.#savedAt = performance.now();
  }

  /** Writes timing.json. */
  record(): void {
    writeTiming(this.#run.trialFolder, {
      format: studyFormat,
      steps: this.#steps,
      trainSeconds: this.#trainSeconds,
      evaluationSeconds: this.#evaluationSeconds,
      ...(this.#deviceSeconds > 0 ? { deviceSeconds: this.#deviceSeconds } : {}),
      tokensPerSecond: this.tokensPerSecond,
      threads: this.#run.order.threads,
      device: this.#run.order.device,
      host: hostname(),
      build: this.#run.native.info().build,
    });
  }
}

function secondsSince(begin: number): number {
  return (performance.now() - begin) / 1_000;
}
