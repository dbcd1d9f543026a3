// Making a trial's trainer fit into memory. Where the device has not enough for the micro-batch of the definition, the trainer is
// made once more with half of it: the same tokens per step, their gradients accumulated over twice as many passes. That
// rounds differently, so the choice belongs to the trial from then on: micro-batch.json says it, every attempt follows
// it, and metrics and result name it. Where it is other trials of the same process that leave too little, it waits for them instead: what a
// trial computes does not depend on its neighbours.

import { readJson, studyFormat, writeJson } from "../study/json_file.js";
import { trialLayout } from "../study/study_layout.js";
import type { NativeLibrary, NativeTrainer, NativeTrainerConfig } from "./native.js";
import { nativeErrorCode } from "./native_error.js";

/** trials/ID/micro-batch.json: written once, by the attempt that ran out of memory. */
export interface SmallerMicroBatch {
  readonly format: typeof studyFormat;
  /** Sequences per forward pass. */
  readonly microBatch: number;
  /** Those of the definition, which did not fit. */
  readonly instead: number;
  /** What the library said: bytes asked and free. */
  readonly because: string;
}

export interface FittedTrainer {
  readonly trainer: NativeTrainer;
  /** Set when it is not the definition's. */
  readonly microBatch?: number;
}

/** The trainers of one process, which share the memory of a device. */
export class DeviceMemory {
  #trainers = 0;
  #waiting: (() => void)[] = [];

  /**
   * The trainer of a trial, with half the micro-batch where the whole does not fit on a device that the process has to itself, or has not
   * fitted before. Beside other trainers it waits until there is room.
   * @param stop aborted to wait no longer; what is returned is then undefined.
   * Throws what the library throws; "out_of_memory" when half does not fit either, or there is no half.
   */
  async fit(
    native: NativeLibrary,
    config: NativeTrainerConfig,
    trialFolder: string,
    stop: AbortSignal,
  ): Promise<FittedTrainer | undefined> {
    while (!stop.aborted) {
      const alone = this.#trainers === 0;
      try {
        const fitted = fitTrainer(native, config, trialFolder, alone);
        this.#trainers++;
        return fitted;
      } catch (error) {
        if (alone || !isOutOfMemory(error)) throw error;
        await this.#room(stop);
      }
    }
    return undefined;
  }

  /** Until another trainer is gone, or waiting is to end. */
  async #room(stop: AbortSignal): Promise<void> {
    const done = new AbortController();
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      stop.addEventListener("abort", () => resolve(), { signal: done.signal });
    });
    done.abort();
  }

  /** Disposes of a trainer that fit() has made. */
  free(trainer: NativeTrainer): void {
    try {
      trainer.dispose();
    } finally {
      this.#trainers--;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }
}

/** @param alone no other trainer of this process is on the device, so that what does not fit now never will. */
function fitTrainer(
  native: NativeLibrary,
  config: NativeTrainerConfig,
  trialFolder: string,
  alone: boolean,
): FittedTrainer {
  const path = trialLayout.microBatch(trialFolder);
  const earlier = readJson<SmallerMicroBatch>(path);
  if (earlier !== undefined) return smaller(native, config, earlier.microBatch);
  try {
    return { trainer: new native.Trainer(config) };
  } catch (error) {
    const microBatch = halfOf(config.microBatch);
    if (!alone || !isOutOfMemory(error) || microBatch === undefined) throw error;
    const fitted = smaller(native, config, microBatch);
    const because = (error as Error).message;
    const record: SmallerMicroBatch = {
      format: studyFormat,
      microBatch,
      instead: config.microBatch,
      because,
    };
    try {
      writeJson(path, record);
    } catch (failure) {
      fitted.trainer.dispose();
      throw failure;
    }
    return fitted;
  }
}

export function isOutOfMemory(error: unknown): boolean {
  return nativeErrorCode(error) === "out_of_memory";
}

function smaller(native: NativeLibrary, config: NativeTrainerConfig, microBatch: number): FittedTrainer {
  return { trainer: new native.Trainer({ ...config, microBatch }), microBatch };
}

/** Half of it, or the next smaller divisor where it is odd; undefined for one sequence. */
function halfOf(microBatch: number): number | undefined {
  for (let half = Math.floor(microBatch / 2); half >= 1; half--) {
    if (microBatch % half === 0) return half;
  }
  return undefined;
}
