// Times the native decoder on a plan: reading a prompt, and one token at a time. What `project` projects, measured.

import { toNativeModel } from "../plan/native_model.js";
import type { Plan } from "../plan/plan_types.js";
import type { NativeLibrary } from "./native.js";
import { fromNativeError } from "./native_error.js";

export interface DecodeBenchOptions {
  readonly device: string;
  readonly threads: number;
  readonly stateType: "full" | "bf16";
  readonly seed: number;
  /** Steps that are timed, after a warm-up of `warmUpSteps`. */
  readonly steps: number;
  /** Prompts of more tokens, over all sequences, are not timed. */
  readonly mostPromptTokens: number;
}

/** One context and batch; times are medians, in seconds. */
export interface DecodeBenchPoint {
  readonly context: number;
  readonly batch: number;
  /** Of `context` tokens per sequence; null where that is more than mostPromptTokens. */
  readonly prefillSeconds: number | null;
  /** One token of every sequence, after `context` tokens. */
  readonly decodeTokenSeconds: number;
  readonly tokensPerSecond: number;
  readonly totalBytes: number;
}

const warmUpSteps = 4; // the first runs call by call, the second is recorded
const prefills = 4;

const median = (values: Float64Array): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/**
 * Random weights; a context is not read but filled with random keys, values and states, so that long ones take no time.
 * Throws LMX3004 (exit 4) where the device has not enough memory, before anything is allocated.
 */
export async function benchDecode(
  native: NativeLibrary,
  plan: Plan,
  { context, batch }: { readonly context: number; readonly batch: number },
  options: DecodeBenchOptions,
): Promise<DecodeBenchPoint> {
  const { device, threads, stateType, seed, steps } = options;
  const prompt = batch * context <= options.mostPromptTokens ? context : 1;
  try {
    const decoder = new native.Decoder({
      ...{ model: toNativeModel(plan), batch, prompt, device, threads, stateType, seed, initStd: 0.02 },
      context: context + steps,
      precision: device === "cpu" ? "fp32" : "bf16",
    });
    try {
      decoder.fill(context, seed);
      await decoder.timeSteps(Math.min(warmUpSteps, steps));
      decoder.fill(context, seed);
      const decodeTokenSeconds = median(await decoder.timeSteps(steps));
      const prefillSeconds =
        prompt === context ? median((await decoder.timePrefills(context, prefills)).subarray(1)) : null;
      const totalBytes = decoder.memory.total;
      const tokensPerSecond = batch / decodeTokenSeconds;
      return { context, batch, prefillSeconds, decodeTokenSeconds, tokensPerSecond, totalBytes };
    } finally {
      decoder.dispose();
    }
  } catch (error) {
    throw fromNativeError(error);
  }
}
