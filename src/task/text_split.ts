// Which bytes of a corpus are trained on and which are held out, as arithmetic on positions alone.
// A window needs sequence + 1 bytes: `sequence` tokens and the target after the last one.

import { exitCodes, LayermixError } from "../diag/diagnostic.js";

/** A held-out window: `length` tokens from `start`, the target of the last one at start + length. */
export interface HeldOutWindow {
  readonly start: number;
  readonly length: number;
}

export interface TextSplit {
  readonly windows: readonly HeldOutWindow[];
  /** Places a training window may start, in all. */
  readonly trainStarts: number;
  /** The n-th such place, 0 <= n < trainStarts. */
  trainStart(n: number): number;
  readonly trainBytes: number;
  readonly heldOutBytes: number;
}

const segmentBytes = 65_536;
const segmentSequences = 32;

/**
 * Cuts [0, byteCount) into equal segments; the last `heldOut` share of each is held out.
 * @throws LayermixError LMX7005 when no training or no held-out window fits.
 */
export function splitText(byteCount: number, heldOut: number, sequence: number): TextSplit {
  const wanted = Math.max(segmentBytes, segmentSequences * sequence);
  const segments = Math.max(1, Math.round(byteCount / wanted));
  const bound = (segment: number) => Math.floor((segment * byteCount) / segments);
  const heldFrom = (segment: number) =>
    bound(segment + 1) - Math.round((bound(segment + 1) - bound(segment)) * heldOut);

  const windows: HeldOutWindow[] = [];
  const startsBefore = new Float64Array(segments + 1);
  let heldOutBytes = 0;
  for (let segment = 0; segment < segments; segment++) {
    const from = heldFrom(segment);
    const to = bound(segment + 1);
    heldOutBytes += to - from;
    for (let start = from; start + 1 < to; start += sequence) {
      windows.push({ start, length: Math.min(sequence, to - 1 - start) });
    }
    startsBefore[segment + 1] = startsBefore[segment]! + Math.max(0, from - bound(segment) - sequence);
  }
  const trainStarts = startsBefore[segments]!;
  if (trainStarts === 0 || windows.length === 0) {
    const message = `Expected a corpus with room for windows of ${sequence + 1} bytes, got ${byteCount} bytes`;
    const help = [`add text, or shorten the sequence; ${heldOut * 100}% of the text is held out`];
    throw new LayermixError({ code: "LMX7005", severity: "error", message, help }, exitCodes.invalidFile);
  }
  return {
    windows,
    trainStarts,
    trainStart: (n) => {
      let low = 0;
      let high = segments - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (n < startsBefore[middle + 1]!) high = middle;
        else low = middle + 1;
      }
      return bound(low) + n - startsBefore[low]!;
    },
    trainBytes: byteCount - heldOutBytes,
    heldOutBytes,
  };
}
