// Sobol points: a low-discrepancy sequence in the unit cube (Sobol 1967), with the primitive polynomials and direction
// numbers of Joe and Kuo (2008, new-joe-kuo-6.21201), points in Antonov and Saleev's Gray code order. Scrambling is
// Owen's (1995): every bit of a coordinate is flipped by a random bit that depends on the bits above it - here a hash of
// them - so each point is uniform, and any 2^m of them are as evenly spread as without.

const bits = 32;

/** Joe and Kuo's table: degree s, coefficients a, first direction numbers m, from the second dimension on. */
const directions: readonly (readonly [s: number, a: number, m: readonly number[]])[] = [
  [1, 0, [1]],
  [2, 1, [1, 3]],
  [3, 1, [1, 3, 1]],
  [3, 2, [1, 1, 1]],
  [4, 1, [1, 1, 3, 3]],
  [4, 4, [1, 3, 5, 13]],
  [5, 2, [1, 1, 5, 5, 17]],
  [5, 4, [1, 1, 5, 5, 5]],
  [5, 7, [1, 1, 7, 11, 19]],
  [5, 11, [1, 1, 5, 1, 1]],
  [5, 13, [1, 1, 1, 3, 11]],
  [5, 14, [1, 3, 5, 5, 31]],
  [6, 1, [1, 3, 3, 9, 7, 49]],
  [6, 13, [1, 1, 1, 15, 21, 21]],
  [6, 16, [1, 3, 1, 13, 27, 49]],
];

/** The largest number of dimensions. */
export const sobolDimensions = directions.length + 1;

/** Direction vectors of one dimension, most significant bit first. */
function directionVectors(dimension: number): Uint32Array {
  const vectors = new Uint32Array(bits);
  if (dimension === 0) {
    for (let i = 0; i < bits; i++) vectors[i] = 2 ** (bits - 1 - i);
    return vectors;
  }
  const [s, a, m] = directions[dimension - 1]!;
  for (let i = 0; i < bits; i++) {
    if (i < s) {
      vectors[i] = m[i]! * 2 ** (bits - 1 - i);
      continue;
    }
    let vector = vectors[i - s]! ^ (vectors[i - s]! >>> s);
    for (let k = 1; k < s; k++) if ((a >>> (s - 1 - k)) & 1) vector ^= vectors[i - k]!;
    vectors[i] = vector;
  }
  return vectors;
}

/**
 * The points of the sequence, from the first one on: coordinates in [0, 1), 2^32 points.
 * @param dimensions 1 to sobolDimensions.
 * @param seed of the scrambling; the plain sequence, which begins with the origin, when absent.
 */
export function* sobolPoints(dimensions: number, seed?: number): Generator<number[]> {
  if (!(dimensions >= 1 && dimensions <= sobolDimensions)) {
    throw new RangeError(`Expected 1 to ${sobolDimensions} dimensions, got ${dimensions}`);
  }
  const vectors = Array.from({ length: dimensions }, (_, dimension) => directionVectors(dimension));
  const key = seed === undefined ? undefined : vectors.map((_, dimension) => scrambleKey(seed, dimension));
  const state = new Uint32Array(dimensions);
  for (let index = 0; index < 2 ** bits; index++) {
    yield Array.from(state, (value, d) => (key === undefined ? value : scramble(value, key[d]!)) / 2 ** bits);
    const lowestZero = 31 - Math.clz32(~index & (index + 1));
    for (let d = 0; d < dimensions; d++) state[d]! ^= vectors[d]![lowestZero]!;
  }
}

function scrambleKey(seed: number, dimension: number): number {
  return mix(mix(mix(seed % 2 ** 32) ^ Math.floor(seed / 2 ** 32)) ^ (dimension + 1));
}

/** Flips every bit by a hash of its place and of the bits above it. */
function scramble(value: number, key: number): number {
  let flips = 0;
  for (let place = 0; place < bits; place++) {
    const above = place === 0 ? 0 : value >>> (bits - place);
    flips |= (mix(mix(key ^ place) ^ above) >>> 31) << (bits - 1 - place);
  }
  return (value ^ flips) >>> 0;
}

/** A bijective hash of 32 bits with full avalanche (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
