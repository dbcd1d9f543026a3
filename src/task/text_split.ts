// Which tokens of a corpus are trained on and which are held out, as arithmetic on positions alone (a token is a byte
// where the tokenizer is bytes). A window needs sequence + 1 tokens: `sequence` and the target after the last one.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";

/** A held-out window: `length` tokens from `start`, the target of the last one at start + length. */
export interface HeldOutWindow {
  readonly start: number;
  readonly length: number;
}

export interface TextSplit {
  /** Held-out windows in all, and the n-th of them: they are worked out when asked for, however many there are. */
  readonly windowCount: number;
  window(n: number): HeldOutWindow;
  /** Places a training window may start, in all. */
  readonly trainStarts: number;
  /** The n-th such place, 0 <= n < trainStarts. */
  trainStart(n: number): number;
  readonly trainTokens: number;
  readonly heldOutTokens: number;
}

const segmentTokens = 65_536;
const segmentSequences = 32;

/**
 * Cuts [0, count) into equal segments; the last `heldOut` share of each is held out.
 * @param unit for the message: "bytes" or "tokens".
 * @throws LayermixError LMX7005 when no training or no held-out window fits.
 */
export function splitText(count: number, heldOut: number, sequence: number, unit = "bytes"): TextSplit {
  const wanted = Math.max(segmentTokens, segmentSequences * sequence);
  const segments = Math.max(1, Math.round(count / wanted));
  const bound = (segment: number) => Math.floor((segment * count) / segments);
  const heldFrom = (segment: number) =>
    bound(segment + 1) - Math.round((bound(segment + 1) - bound(segment)) * heldOut);

  const windowsBefore = new Float64Array(segments + 1);
  const startsBefore = new Float64Array(segments + 1);
  let heldOutTokens = 0;
  for (let segment = 0; segment < segments; segment++) {
    const from = heldFrom(segment);
    const to = bound(segment + 1);
    heldOutTokens += to - from;
    windowsBefore[segment + 1] = windowsBefore[segment]! + tiles(to - from, sequence);
    startsBefore[segment + 1] = startsBefore[segment]! + Math.max(0, from - bound(segment) - sequence);
  }
  const trainStarts = startsBefore[segments]!;
  const windowCount = windowsBefore[segments]!;
  if (trainStarts === 0 || windowCount === 0) throw tooSmall(count, heldOut, sequence, unit);
  return {
    windowCount,
    window: (n) => {
      const segment = lastAtMost(windowsBefore, n);
      const start = heldFrom(segment) + (n - windowsBefore[segment]!) * sequence;
      return { start, length: Math.min(sequence, bound(segment + 1) - 1 - start) };
    },
    trainStarts,
    trainStart: (n) => {
      const segment = lastAtMost(startsBefore, n);
      return bound(segment) + n - startsBefore[segment]!;
    },
    trainTokens: count - heldOutTokens,
    heldOutTokens,
  };
}

/** Windows that tile a held-out block of `length` tokens; its first one is nobody's target. */
export function tiles(length: number, sequence: number): number {
  return Math.max(0, Math.ceil((length - 1) / sequence));
}

export function tooSmall(count: number, heldOut: number, sequence: number, unit: string): LayermixError {
  const message = `Expected a corpus with room for windows of ${sequence + 1} ${unit}, got ${count} ${unit}`;
  const help = [`add text, or shorten the sequence; ${heldOut * 100}% of the text is held out`];
  return new LayermixError({ code: "LMX7005", severity: "error", message, help }, exitCodes.invalidFile);
}

/** The last index i with before[i] <= n < before[i + 1]. */
function lastAtMost(before: Float64Array, n: number): number {
  let low = 0;
  let high = before.length - 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (n < before[middle + 1]!) high = middle;
    else low = middle + 1;
  }
  return low;
}
