// The order in which Megatron's GPTDataset visits a corpus: documents of all epochs shuffled, cut into samples of
// sequence + 1 tokens that overlap by one (a sample may span documents), samples shuffled. A last epoch that is needed
// to less than 80 percent is shuffled on its own behind the others. One RandomState runs through all of it.
// Megatron-LM, megatron/core/datasets/gpt_dataset.py and helpers.cpp (build_sample_idx).

import { NumpyRandomState } from "./numpy_random.js";

export interface MegatronOrderRequest {
  /** Tokens of each document. */
  readonly sizes: ArrayLike<number>;
  readonly sequence: number;
  readonly seed: number;
  readonly epochs: number;
  /** Shuffle the last epoch on its own. */
  readonly separateFinalEpoch?: boolean;
  /** Leave out a last sample that is not whole (default), or keep it. */
  readonly dropLast?: boolean;
  /** 1 where a sample brings the target of its last token, as it does in training. */
  readonly extraTokens?: 0 | 1;
}

export interface MegatronOrder {
  /** Documents in the order they are read, all epochs. */
  readonly documentIndex: Int32Array;
  /** Sample s goes from (index into documentIndex, offset) 2s, 2s+1 to those of s + 1. */
  readonly sampleIndex: Int32Array;
  /** Sample taken at each step. */
  readonly shuffleIndex: Uint32Array;
}

export function megatronOrder(request: MegatronOrderRequest): MegatronOrder {
  const { sizes, sequence, seed, epochs, separateFinalEpoch = false } = request;
  const { dropLast = true, extraTokens = 1 } = request;
  const random = new NumpyRandomState(seed);
  const documentIndex = new Int32Array(sizes.length * epochs);
  for (let i = 0; i < documentIndex.length; i++) documentIndex[i] = i % sizes.length;
  const border = separateFinalEpoch && epochs > 1 ? sizes.length * (epochs - 1) : documentIndex.length;
  random.shuffle(documentIndex.subarray(0, border));
  random.shuffle(documentIndex.subarray(border));
  let tokensPerEpoch = 0;
  for (let i = 0; i < sizes.length; i++) tokensPerEpoch += sizes[i]!;
  const whole = (tokens: number) => (tokens - extraTokens) / sequence;
  const samples = (dropLast ? Math.floor : Math.ceil)(whole(epochs * tokensPerEpoch));
  const sampleIndex = cutSamples(sizes, documentIndex, samples, sequence, extraTokens);
  const shuffleIndex = Uint32Array.from({ length: samples }, (_, i) => i);
  const first =
    border < documentIndex.length ? Math.floor(whole((epochs - 1) * tokensPerEpoch)) : shuffleIndex.length;
  random.shuffle(shuffleIndex.subarray(0, first));
  random.shuffle(shuffleIndex.subarray(first));
  return { documentIndex, sampleIndex, shuffleIndex };
}

function cutSamples(
  sizes: ArrayLike<number>,
  documentIndex: Int32Array,
  samples: number,
  sequence: number,
  extraTokens: number,
): Int32Array {
  const sampleIndex = new Int32Array(2 * (samples + 1));
  let at = 0;
  let offset = 0;
  for (let sample = 1; sample <= samples; sample++) {
    for (let missing = sequence + extraTokens; missing > 0; ) {
      const left = sizes[documentIndex[at]!]! - offset;
      if (left >= missing) {
        offset += missing - extraTokens; // the next sample begins with this one's last token
        break;
      }
      if (at === documentIndex.length - 1) {
        offset = sizes[documentIndex[at]!]! - extraTokens;
        break;
      }
      missing -= left;
      at += 1;
      offset = 0;
    }
    sampleIndex[2 * sample] = at;
    sampleIndex[2 * sample + 1] = offset;
  }
  return sampleIndex;
}
