// Numbers with units. Expected values are exact: a share is the double nearest to its decimal, a count is an integer.

import assert from "node:assert/strict";
import { parseAmount, parseCount, parseLength, parseShare, showShare } from "../../src/spec/quantity.js";

describe("quantities", () => {
  it("reads shares as the double nearest to their decimal", () => {
    const table: [unknown, number][] = [
      ["43%", 0.43],
      ["7%", 0.07],
      ["4.2%", 0.042],
      ["12.5%", 0.125],
      ["100%", 1],
      ["0%", 0],
      ["8 %", 0.08],
      [0.43, 0.43],
    ];
    for (const [text, share] of table) assert.equal(parseShare(text), share, String(text));
    // For every tenth of a percent the text and the literal of the fraction agree, which division by 100 does not give.
    for (let tenths = 0; tenths <= 1000; tenths++) {
      assert.equal(parseShare(`${Math.trunc(tenths / 10)}.${tenths % 10}%`), Number(`${tenths}e-3`));
    }
  });

  it("reads counts with powers of 1000", () => {
    const table: [unknown, number][] = [
      ["20M", 20_000_000],
      ["1.5M", 1_500_000],
      ["16K", 16_000],
      ["3T", 3e12],
      ["1.1 B", 1_100_000_000],
      [16384, 16384],
      ["512", 512],
    ];
    for (const [text, count] of table) assert.equal(parseCount(text), count, String(text));
  });

  it("reads lengths with powers of 1024", () => {
    const table: [unknown, number][] = [
      ["4K", 4096],
      ["128K", 131072],
      ["1M", 1048576],
      ["0.5K", 512],
      [512, 512],
    ];
    for (const [text, length] of table) assert.equal(parseLength(text), length, String(text));
  });

  it("reads memory with powers of 1000 (GB) and 1024 (GiB)", () => {
    const table: [unknown, number][] = [
      ["80GB", 80e9],
      ["80GiB", 80 * 1024 ** 3],
      ["1.5MB", 1_500_000],
      ["2KiB", 2048],
      ["7B", 7e9],
      [1000, 1000],
    ];
    for (const [text, amount] of table) assert.equal(parseAmount(text), amount, String(text));
  });

  it("shows shares without the noise of binary fractions", () => {
    assert.equal(showShare(0.07 + 0.43 + 0.5), "100%");
    assert.equal(showShare(0.125), "12.5%");
    assert.equal(showShare(1.07), "107%");
  });
});
