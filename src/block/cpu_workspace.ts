// Scratch that operations of the CPU backend take from the planned workspace, in fp32 elements: the rule of
// kernels/cpu/WORKSPACE.md. Functions of the shape alone, never of the number of threads.

/**
 * RMSNorm, plain or gated: partial sums of the weight's gradient, one row per chunk of 16 rows (64 chunks at
 * most).
 */
export function normWorkspace(rows: number, columns: number): number {
  return Math.min(64, Math.ceil(rows / 16)) * columns;
}

/**
 * Causal convolution: partial sums of weights and bias, one per stretch of 64 tokens (64 stretches at most in
 * all).
 */
export function convolutionWorkspace(batch: number, time: number, channels: number, taps: number): number {
  const stretches = Math.max(1, Math.min(Math.floor(64 / batch), Math.floor(time / 64)));
  return batch * stretches * (taps + 1) * channels;
}

/**
 * SSD scan: the gradient of the state at every chunk's end, and partial sums of three parameters per head.
 */
export function scanWorkspace(
  batch: number,
  chunks: number,
  heads: number,
  headDim: number,
  state: number,
): number {
  return batch * chunks * heads * (headDim * state + 3);
}
