// A recorded run of an exported checkpoint: what the native library makes of a fixed input, in io.safetensors beside
// the weights. `layermix verify DIR` and bench/check_export.py compare with it. Holds input_ids, logits, loss, every
// hidden state, greedy_prompt, and greedy_tokens: the prompt with what greedy decoding adds to it, token by token with KV
// cache and recurrent state.

import { join } from "node:path";
import type { NativeLibrary } from "../run/native.js";
import { fromNativeError } from "../run/native_error.js";
import { discard, publish, temporaryPath } from "../study/atomic_file.js";
import { HuggingFaceCheckpoint } from "./huggingface_checkpoint.js";
import { weightsOnly } from "./model_weights.js";
import { type TensorSource, writeSafetensors } from "./safetensors.js";

/** Runs the checkpoint in `folder` on `tokens` tokens and writes io.safetensors. Throws LMX30xx, LMX5xxx. */
export async function recordRun(native: NativeLibrary, folder: string, tokens: number): Promise<string> {
  const checkpoint = new HuggingFaceCheckpoint(folder);
  const { vocab, hidden } = checkpoint.model;
  try {
    const trainer = new native.Trainer(weightsOnly(checkpoint.model, { sequence: tokens }));
    try {
      for (const { name } of trainer.tensors) trainer.write(name, "value", checkpoint.read(name));
      const ids = fixedInput(tokens, vocab);
      const targets = Int32Array.from(ids, (_, i) => ids[i + 1] ?? -1);
      const { logits, loss, hidden: states } = await trainer.probe(ids, targets);
      const stateLength = tokens * hidden;
      const prompt = ids.slice(0, Math.max(1, tokens >> 1));
      const greedy = await greedyTokens(native, checkpoint, prompt, tokens);
      const path = join(folder, "io.safetensors");
      write(path, [
        integers("input_ids", ids),
        floats("logits", [1, tokens, vocab], logits),
        floats("loss", [], Float64Array.of(loss)),
        ...checkpoint.hiddenStates.map((state, index) =>
          floats(
            `hidden_states.${index}`,
            [1, tokens, hidden],
            states.subarray(state * stateLength, (state + 1) * stateLength),
          ),
        ),
        integers("greedy_prompt", prompt),
        integers("greedy_tokens", greedy),
      ]);
      return path;
    } finally {
      trainer.dispose();
    }
  } catch (error) {
    throw fromNativeError(error);
  } finally {
    checkpoint.close();
  }
}

/** Token ids that look like nothing in particular: Weyl's sequence of the golden ratio, modulo the vocabulary. */
function fixedInput(tokens: number, vocab: number): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: tokens }, (_, i) => ((Math.imul(i + 1, 0x9e3779b1) >>> 0) >>> 7) % vocab);
}

/** The prompt, continued to `length` tokens. */
async function greedyTokens(
  native: NativeLibrary,
  checkpoint: HuggingFaceCheckpoint,
  prompt: Int32Array,
  length: number,
): Promise<Int32Array> {
  const { model, precision, device, threads, seed, initStd } = weightsOnly(checkpoint.model);
  const size = { batch: 1, context: length, prompt: prompt.length };
  const decoder = new native.Decoder({
    ...size,
    ...{ model, precision, stateType: "full", device, threads, seed, initStd },
  });
  try {
    for (const { name } of decoder.tensors) decoder.write(name, checkpoint.read(name));
    await decoder.prefill(prompt);
    return Int32Array.from([...prompt, ...(await decoder.generate(length - prompt.length))]);
  } finally {
    decoder.dispose();
  }
}

function integers(name: string, ids: Int32Array): TensorSource {
  const wide = BigInt64Array.from(ids, BigInt);
  return { name, dtype: "I64", shape: [1, ids.length], data: new Uint8Array(wide.buffer) };
}

function floats(name: string, shape: readonly number[], values: Float64Array): TensorSource {
  return { name, dtype: "F32", shape, data: () => new Uint8Array(Float32Array.from(values).buffer) };
}

function write(path: string, tensors: readonly TensorSource[]): void {
  const temporary = temporaryPath(path);
  try {
    writeSafetensors(temporary, tensors, {}, { sync: true });
    publish(temporary, path);
  } catch (error) {
    discard(temporary);
    throw error;
  }
}
