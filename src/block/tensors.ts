// Short ways to write down what layers have in common: tensors by name and shape, FLOPs of projections and
// convolutions (docs/flops.md), the operations of a projection.

import type { BlockContext, LayerOperation, ParameterTensor, Workload } from "./block.js";
import { causalPairs } from "./operations.js";

/** A matrix, (out, in); it takes weight decay. */
export function matrix(name: string, out: number, inward: number): ParameterTensor {
  return { name, shape: [out, inward], decayed: true };
}

/** A norm's weight, a bias, or another vector without weight decay; none where `present` is false. */
export function vector(name: string, count: number, present = true): readonly ParameterTensor[] {
  return present ? [{ name, shape: [count], decayed: false }] : [];
}

/** The norm in front of every layer. */
export function preNorm({ hidden }: BlockContext): ParameterTensor {
  return { name: "norm.weight", shape: [hidden], decayed: false };
}

/** A depthwise causal convolution, its bias where there is one. */
export function convolution(channels: number, taps: number, bias: boolean): readonly ParameterTensor[] {
  return [
    { name: "mixer.conv1d.weight", shape: [channels, 1, taps], decayed: true },
    ...vector("mixer.conv1d.bias", channels, bias),
  ];
}

/** The name of a layer's tensor inside the layer that is composed of it: "mixer.mamba.in_proj.weight". */
export function within(part: string, { name, ...tensor }: ParameterTensor): ParameterTensor {
  return { ...tensor, name: `mixer.${part}.${name.replace(/^mixer\./, "")}` };
}

/** Forward FLOPs of a depthwise causal convolution: the first tokens reach 1, 2, ... taps back. */
export function convolutionFlops({ batch, sequence }: Workload, channels: number, taps: number): number {
  return batch * causalPairs(sequence, taps) * 2 * channels;
}

/** Products with a matrix behind the layer's norm. */
export function inward(rows: number, from: number, to: number): LayerOperation {
  return { operation: { kind: "norm_linear", rows, in: from, out: to, logits: false } };
}

/** Products with a matrix inside the layer. */
export function product(rows: number, from: number, to: number): LayerOperation {
  return { operation: { kind: "linear", rows, in: from, out: to } };
}

/** The projection back to the hidden width: a partial sum where the layer is divided among devices. */
export function outward(rows: number, from: number, to: number): LayerOperation {
  return { ...product(rows, from, to), partial: true };
}
