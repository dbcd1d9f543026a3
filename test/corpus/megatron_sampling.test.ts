// Megatron's order of a corpus against indices that its own C++ helper and numpy wrote.

import assert from "node:assert/strict";
import { megatronOrder } from "../../src/corpus/megatron_sampling.js";
import { NumpyRandomState } from "../../src/corpus/numpy_random.js";
import { fixtureJson } from "./fixture.js";

const vectors = fixtureJson("data_formats.json");

describe("Megatron's sampling order", () => {
  it("shuffles as numpy's RandomState does", () => {
    assert.ok(vectors.numpy_legacy_shuffle.length > 3);
    for (const { seed, n, shuffled_arange } of vectors.numpy_legacy_shuffle) {
      const values = Int32Array.from({ length: n }, (_, i) => i);
      new NumpyRandomState(seed).shuffle(values);
      assert.deepEqual([...values], shuffled_arange, `seed ${seed}, ${n} values`);
    }
  });

  for (const [index, recorded] of vectors.gpt_dataset_indices.entries()) {
    it(`gives the indices of recorded dataset ${index}`, () => {
      const order = megatronOrder({
        sizes: recorded.sizes,
        sequence: recorded.sequence_length,
        seed: recorded.seed,
        epochs: recorded.num_epochs,
        dropLast: recorded.drop_last_partial_sequence,
        extraTokens: recorded.add_extra_token,
      });
      assert.deepEqual([...order.documentIndex], recorded.document_index);
      assert.deepEqual([...order.sampleIndex], recorded.sample_index.flat());
      assert.deepEqual([...order.shuffleIndex], recorded.shuffle_index);
    });
  }

  it("keeps the last epoch behind the others when it is shuffled on its own", () => {
    const sizes = [7, 9, 4, 12, 3];
    const { documentIndex, shuffleIndex } = megatronOrder({
      sizes,
      sequence: 5,
      seed: 3,
      epochs: 3,
      separateFinalEpoch: true,
    });
    const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);
    assert.deepEqual(sorted(documentIndex.subarray(10)), [0, 1, 2, 3, 4]);
    const before = Math.floor((2 * 35 - 1) / 5);
    assert.deepEqual(
      sorted(shuffleIndex.subarray(0, before)),
      Array.from({ length: before }, (_, i) => i),
    );
    assert.equal(shuffleIndex.length, Math.floor((3 * 35 - 1) / 5));
  });
});
