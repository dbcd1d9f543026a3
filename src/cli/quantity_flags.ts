// Flags that hold a quantity as study files write it: lengths with K = 1024, counts with K = 1000.

import { Flags } from "@oclif/core";
import { parseCount, parseLength } from "../spec/quantity.js";
import { usageError } from "./failure.js";

/** --sequence 4K: tokens, K is 1024. */
export const lengthFlag = (flag: string, description: string) =>
  quantityFlag(flag, description, "LENGTH", parseLength);

/** --tokens 20M: K, M, B are powers of 1000. */
export const countFlag = (flag: string, description: string) =>
  quantityFlag(flag, description, "COUNT", parseCount);

function quantityFlag(flag: string, description: string, helpValue: string, read: (text: string) => number) {
  return Flags.custom<number>({
    description,
    helpValue,
    parse: async (input) => {
      const value = /^\d[\d.]*\s?[KMB]?$/.test(input) ? read(input) : Number.NaN;
      if (Number.isSafeInteger(value) && value >= 1) return value;
      throw usageError("LMX6005", `Expected --${flag} to be a whole number above 0, got ${input}`, [
        `for example --${flag} 512 or --${flag} 4K`,
      ]);
    },
  })();
}
