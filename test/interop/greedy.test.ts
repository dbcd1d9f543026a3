// Generating: the tokens that Hugging Face's models choose greedily (transformers 5.18.0, recorded with its own cache), from the
// recorded prompt on, in fp64 and fp32. The recordings have time_step_min 0: transformers clamps dt in prefill but not in decoding,
// layermix in both, so for them the two agree.

import assert from "node:assert/strict";
import { join } from "node:path";
import { HuggingFaceCheckpoint } from "../../src/interop/huggingface_checkpoint.js";
import { openSafetensors } from "../../src/interop/safetensors.js";
import { toInt32 } from "../../src/interop/tensor_data.js";
import { loadNative } from "../../src/run/load_native.js";
import type { NativeDecoder } from "../../src/run/native.js";

const native = loadNative();
const golden = (name: string): string => new URL(`../fixtures/golden/${name}`, import.meta.url).pathname;

/** The recorded prompt, and the prompt with what the model added. */
function recorded(name: string): { prompt: Int32Array; all: Int32Array } {
  const file = openSafetensors(join(golden(name), "io.safetensors"));
  const read = (tensor: string) =>
    toInt32(tensor, file.tensors.get(tensor)!.dtype, file.read(tensor)) as Int32Array;
  const result = { prompt: read("greedy_prompt"), all: read("greedy_tokens") };
  file.close();
  return result;
}

function open(name: string, precision: "fp64" | "fp32", context: number, prompt: number): NativeDecoder {
  const checkpoint = new HuggingFaceCheckpoint(golden(name));
  const config = { model: checkpoint.model, precision, batch: 1, context, prompt };
  const decoder = new native.Decoder({
    ...{ ...config, stateType: "full", device: "cpu", threads: 1, seed: 0, initStd: 0.02 },
  });
  for (const tensor of decoder.tensors) decoder.write(tensor.name, checkpoint.read(tensor.name));
  checkpoint.close();
  return decoder;
}

describe("greedy generation", () => {
  for (const name of ["nemotronh_dense_M-M*-M-", "nemotronh_g1", "mamba2_g1"]) {
    for (const precision of ["fp64", "fp32"] as const) {
      it(`continues ${name} as recorded, in ${precision}`, async () => {
        const { prompt, all } = recorded(name);
        assert.deepEqual(all.subarray(0, prompt.length), prompt);
        assert.ok(all.length >= prompt.length + 10);
        const decoder = open(name, precision, all.length, prompt.length);
        await decoder.prefill(prompt);
        const generated = await decoder.generate(all.length - prompt.length);
        assert.deepEqual(generated, all.subarray(prompt.length));
        // Token by token from the start gives the same.
        decoder.reset();
        for (const token of prompt) await decoder.step(Int32Array.of(token));
        assert.deepEqual(await decoder.generate(all.length - prompt.length), all.subarray(prompt.length));
        decoder.dispose();
      });
    }
  }
});
