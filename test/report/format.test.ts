// Numbers as people read them (src/report/format.ts).

import assert from "node:assert/strict";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFlops,
  formatInteger,
  formatRate,
  formatShare,
} from "../../src/report/format.js";

describe("number formats", () => {
  const cases: readonly (readonly [string, string])[] = [
    [formatCount(8654517248), "8.65 B"],
    [formatCount(0), "0"],
    [formatCount(999), "999"],
    [formatCount(999_999), "1.00 M"],
    [formatCount(12_345), "12.3 K"],
    [formatFlops(190696547942400), "190.7 TFLOP"],
    [formatFlops(12), "12 FLOP"],
    [formatFlops(1.952732650930176e17), "195.3 PFLOP"],
    [formatBytes(16384), "16.0 KiB"],
    [formatBytes(100), "100 B"],
    [formatBytes(80 * 2 ** 30), "80.0 GiB"],
    [formatShare(4 / 56), "7.14%"],
    [formatShare(0.5), "50%"],
    [formatShare(0.125), "12.5%"],
    [formatInteger(1234567), "1,234,567"],
    [formatInteger(999), "999"],
    [formatDuration(0.0123), "12.3 ms"],
    [formatDuration(0.0000047), "4.70 us"],
    [formatDuration(0.0001), "0.10 ms"],
    [formatDuration(7.04), "7.0 s"],
    [formatRate(1224.3), "1,224"],
    [formatRate(47.83), "47.8"],
    [formatRate(99.96), "100"],
    [formatDuration(59.6), "1 min 0 s"],
    [formatDuration(200), "3 min 20 s"],
    [formatDuration(7300), "2 h 2 min"],
    [formatDuration(Number.POSITIVE_INFINITY), "-"],
  ];
  for (const [got, expected] of cases) it(expected, () => assert.equal(got, expected));
});
