// Flags of `layermix project` that hold lists and shares, and the choices they stand for.

import { Flags } from "@oclif/core";
import { parseLength, parseShare } from "../spec/quantity.js";
import { usageError } from "./failure.js";

const mostEntries = 64;

/** --contexts 4K,32K: lengths; --batch 1,32: counts. Repeated values are kept once, in order. */
export function listFlag(flag: string, description: string, example: string, length: boolean) {
  const form = length ? /^\d{1,10}(\.\d+)?[KM]?$/ : /^\d{1,7}$/;
  return Flags.custom<readonly number[]>({
    description: `${description} Example: --${flag} ${example}`,
    helpValue: "LIST",
    parse: async (input) => {
      const entries = input.split(",").map((entry) => entry.trim());
      const values = entries.map((entry) => (form.test(entry) ? parseLength(entry) : Number.NaN));
      const wrong = entries.find((_, i) => !Number.isSafeInteger(values[i]!) || values[i]! < 1);
      if (wrong !== undefined || entries.length > mostEntries) {
        const got = wrong === undefined ? `${entries.length} of them` : JSON.stringify(wrong);
        throw usageError(
          "LMX6005",
          `Expected --${flag} to be up to ${mostEntries} whole numbers above 0, got ${got}`,
          [`for example --${flag} ${example}`],
        );
      }
      return [...new Set(values)];
    },
  })();
}

/** --memory-share 90%: a part of the whole, above 0. */
export const memoryShareFlag = Flags.custom<number>({
  description: "Part of device memory that may be filled; 90% by default. Example: --memory-share 95%",
  helpValue: "SHARE",
  parse: async (input) => {
    const value = /^(\d{1,3}(\.\d+)?%|0?\.\d+|1)$/.test(input)
      ? parseShare(input.endsWith("%") ? input : Number(input))
      : Number.NaN;
    if (value > 0 && value <= 1) return value;
    throw usageError("LMX6005", `Expected --memory-share to be a share up to 100%, got ${input}`, [
      "for example --memory-share 90%",
    ]);
  },
});
