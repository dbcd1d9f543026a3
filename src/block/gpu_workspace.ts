// Scratch that operations take on a GPU, in bytes: the rule of kernels/cuda/WORKSPACE.md. Functions of the shape alone, so
// that a GPU trainer is planned on any machine; a test compares them with the native planner, byte for byte.

/** Steps between two states that the SSD scan saves on a GPU, whatever the layer's chunk is. */
export const gpuScanChunk = 128;
/** What cuBLASLt is given for any matrix product, and room for sums over rows that wait (kernels/cuda/column_sums.cuh). */
export const gpuProductWorkspace = (32 + 16) * 1024 ** 2;

const attentionLimit = 4 * 1024 ** 3;
const multiprocessors = 132;

const up = (a: number, b: number): number => Math.ceil(a / b);
const padded = (bytes: number): number => up(bytes, 256) * 256;

/** RMSNorm over rows of `columns`. */
export function gpuNormWorkspace(columns: number): number {
  return 4 * 264 * columns;
}

export function gpuGatedNormWorkspace(rows: number, columns: number, groups: number): number {
  const width = columns / groups;
  const blocks = width > 512 && width <= 2048 ? multiprocessors * Math.floor(24 / up(width, 256)) : 396;
  return 4 * Math.min(up(blocks, groups), up(rows, 4)) * columns;
}

export function gpuConvolutionWorkspace(batch: number, time: number, channels: number, taps: number): number {
  const warps = 16;
  const all = up(channels, 128);
  let across = warps;
  while (all % across !== 0) across /= 2;
  const along = warps / across;
  const atOnce = Math.max(1, Math.floor((multiprocessors * across) / all)) * along;
  const stretch = up(time, bestStretches(batch, time, atOnce));
  return 4 * up(batch * up(time, stretch), along) * channels * (taps + 1);
}

/** Into how many stretches of at least 16 steps a sequence is cut: as many as end soonest where `atOnce` are walked at a time. */
function bestStretches(batch: number, time: number, atOnce: number): number {
  const most = Math.max(1, Math.min(Math.floor((4 * atOnce) / batch), Math.floor(time / 16)));
  let best = 1;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let count = 1; count <= most; count++) {
    const cost = up(batch * count, atOnce) * (up(time, count) + 12);
    if (cost < bestCost) {
      best = count;
      bestCost = cost;
    }
  }
  return best;
}

export function gpuEmbeddingWorkspace(rows: number, columns: number, vocab: number): number {
  if (vocab <= 256)
    return 4 * Math.min(up(multiprocessors, up(columns, 64)), up(rows, 128)) * vocab * columns;
  return 4 * (2 * vocab + 2 + 2 * rows + 3 * Math.floor(rows / 33));
}

interface AttentionHeads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

export function gpuAttentionWorkspace(batch: number, time: number, o: AttentionHeads): number {
  const own = 4 * batch * o.heads * time;
  if (time % 128 !== 0) return own;
  const slice = (sequences: number, kvHeads: number): number => {
    const rows = sequences * kvHeads * (o.heads / o.kvHeads) * time;
    const sums = 4 * up(time, o.headDim > 64 ? 256 : 128) * rows * o.headDim;
    return sums + (o.heads > o.kvHeads ? 4 * rows * o.headDim : 0) + 4 * rows + 65_536;
  };
  const sequence = slice(1, o.kvHeads);
  const most = (bytes: number): number => Math.floor(attentionLimit / bytes);
  const chosen =
    sequence > attentionLimit
      ? slice(1, largestDivisorUpTo(o.kvHeads, most(slice(1, 1))))
      : slice(largestDivisorUpTo(batch, most(sequence)), o.kvHeads);
  if (o.headDim !== 64 && o.headDim !== 128) return Math.max(own, chosen);
  const rows = batch * o.heads * time;
  const turns = batch * o.heads * Math.floor((time * o.headDim) / 8192) * 2;
  const hopper = 2 * padded(4 * rows) + padded(4 * rows * o.headDim) + padded(4 * turns);
  return Math.max(own, chosen, hopper);
}

interface ScanShape {
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly state: number;
}

export function gpuScanWorkspace(batch: number, time: number, o: ScanShape): number {
  const dims = [32, 64, 128];
  const wide = {
    ...o,
    headDim: dims.find((dim) => o.headDim <= dim) ?? up(o.headDim, 256) * 256,
    state: up(o.state, 16) * 16,
  };
  if (wide.headDim === o.headDim && o.state % 8 === 0) return scanWorkspace(batch, time, o);
  const rows = batch * time;
  const inner = wide.heads * wide.headDim;
  const copies = 2 * padded(2 * rows * (inner + 2 * wide.groups * wide.state)) + padded(2 * rows * inner);
  const states = padded(2 * batch * up(time, gpuScanChunk) * inner * wide.state);
  return copies + states + padded(scanWorkspace(batch, time, wide));
}

function scanWorkspace(batch: number, time: number, { heads, headDim, groups, state }: ScanShape): number {
  const pieces = headDim > 128 ? 4 : headDim > 64 ? 2 : 1;
  const blocks = batch * up(time, gpuScanChunk);
  const steps = blocks * gpuScanChunk * heads;
  const part = blocks * gpuScanChunk * groups * state;
  const splits = bestSplit(blocks * groups * (state > 128 ? 5 : 2), (pieces * heads) / groups);
  return (
    3 * padded(4 * steps) +
    padded(2 * blocks * heads * headDim * state) +
    padded(8 * splits * part) +
    padded(splits > 1 ? 4 * splits * part : 0) +
    padded(8 * pieces * steps) +
    2 * padded(4 * pieces * steps) +
    2 * padded(4 * blocks * pieces * heads) +
    padded(12 * blocks * heads)
  );
}

/** Into how many splits the heads of a block are cut: those that end soonest on the device. */
function bestSplit(blocks: number, heads: number): number {
  let best = 1;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let split = 1; split <= Math.min(heads, 16); split++) {
    const share = up(heads, split);
    if (up(heads, share) !== split) continue;
    const cost = up(blocks * split, multiprocessors) * (share + 1.5);
    if (cost < bestCost * 0.98) {
      best = split;
      bestCost = cost;
    }
  }
  return best;
}

/** The largest divisor of `count` up to `most`, at least 1. */
function largestDivisorUpTo(count: number, most: number): number {
  for (let divisor = Math.min(most, count); divisor > 1; divisor--) {
    if (count % divisor === 0) return divisor;
  }
  return 1;
}
