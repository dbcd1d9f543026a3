// How much a sweep had the GPU train: seconds of its training steps by the device's own clock. Where several trials share the GPU each
// step's seconds go on while the kernels of another run, so their sum says how many steps were in flight, not how busy the GPU was.

import { existsSync, readdirSync } from "node:fs";
import { readTiming } from "../study/outcome.js";
import { onDisk } from "../study/storage_error.js";
import { studyLayout } from "../study/study_layout.js";

export interface GpuUse {
  /** Seconds from the first worker to the last. */
  readonly seconds: number;
  /** Seconds from start to end of training steps on the device, added up over the trials that this sweep ran. */
  readonly stepSeconds: number;
  /** Trials at a time. */
  readonly trialsAtOnce: number;
  /** stepSeconds over seconds: training steps in flight, on average. With one trial at a time, the share of the time with one. */
  readonly stepsInFlight: number;
}

/** Adds up the device seconds of a sweep's own trials: others may work on the same folder. */
export class OwnSteps {
  readonly #folder: string;
  readonly #own = new Set<string>();
  readonly #earlier: ReadonlyMap<string, number>;

  /** What the trials in the folder have behind them now does not count. */
  constructor(folder: string) {
    this.#folder = folder;
    const trials = studyLayout.trials(folder);
    const names = existsSync(trials) ? onDisk("read", trials, () => readdirSync(trials)) : [];
    this.#earlier = new Map(names.map((id) => [id, this.#secondsOf(id)]));
  }

  /** A worker of this sweep has taken the trial. */
  claimed(id: string): void {
    this.#own.add(id);
  }

  get seconds(): number {
    return [...this.#own].reduce((sum, id) => sum + this.#secondsOf(id) - (this.#earlier.get(id) ?? 0), 0);
  }

  #secondsOf(id: string): number {
    return readTiming(studyLayout.trial(this.#folder, id))?.deviceSeconds ?? 0;
  }
}

export function gpuUse(seconds: number, stepSeconds: number, trialsAtOnce: number): GpuUse {
  return { seconds, stepSeconds, trialsAtOnce, stepsInFlight: stepSeconds / seconds };
}

/**
 * One line for people: "GPU: training steps took 338 of 362 s (93%)", or, for trials that share it, "GPU: 4 trials at a time, 3.2 training
 * steps in flight on average over 381 s".
 */
export function renderGpuUse({ seconds, stepSeconds, trialsAtOnce, stepsInFlight }: GpuUse): string {
  const whole = `${seconds.toFixed(0)} s`;
  if (trialsAtOnce > 1) {
    const average = `${stepsInFlight.toFixed(1)} training steps in flight on average`;
    return `GPU: ${trialsAtOnce} trials at a time, ${average} over ${whole}`;
  }
  return `GPU: training steps took ${stepSeconds.toFixed(0)} of ${whole} (${(100 * stepsInFlight).toFixed(0)}%)`;
}
