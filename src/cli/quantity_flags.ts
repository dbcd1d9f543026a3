// Flags that hold a quantity as study files write it: lengths with K = 1024, counts with K = 1000.

import { Flags } from "@oclif/core";
import { formatInteger } from "../report/format.js";
import { parseCount, parseLength, parseShare } from "../spec/quantity.js";
import { usageError } from "./failure.js";

/** --sequence 4K: tokens, K is 1024. */
export const lengthFlag = (flag: string, description: string) =>
  quantityFlag(flag, description, { helpValue: "LENGTH", units: "KM", most: 2 ** 30, read: parseLength });

/** --tokens 20M: K, M, B are powers of 1000. */
export const countFlag = (flag: string, description: string) =>
  quantityFlag(flag, description, { helpValue: "COUNT", units: "KMBT", most: 1e15, read: parseCount });

/** --keep 33%: a share above 0% and below 100%. */
export const shareFlag = (flag: string, description: string, dependsOn: string[] = []) =>
  Flags.custom<number>({
    description,
    dependsOn,
    helpValue: "SHARE",
    parse: async (input) => {
      const share = /^\d[\d.]*\s?%?$/.test(input)
        ? parseShare(input.endsWith("%") ? input : Number(input))
        : Number.NaN;
      if (share > 0 && share < 1) return share;
      const message = `Expected --${flag} to be a share above 0% and below 100%, got ${input}`;
      throw usageError("LMX6005", message, [`for example --${flag} 33%`]);
    },
  })();

interface Quantity {
  readonly helpValue: string;
  readonly units: string;
  /** As in study files. */
  readonly most: number;
  readonly read: (text: string) => number;
}

function quantityFlag(flag: string, description: string, { helpValue, units, most, read }: Quantity) {
  return Flags.custom<number>({
    description,
    helpValue,
    parse: async (input) => {
      const value = new RegExp(`^\\d[\\d.]*\\s?[${units}]?$`).test(input) ? read(input) : Number.NaN;
      if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
      const message = `Expected --${flag} to be a whole number from 1 to ${formatInteger(most)}, got ${input}`;
      const help = `digits, and one of ${[...units].join(", ")}: --${flag} 512 or --${flag} 4K`;
      throw usageError("LMX6005", message, [help]);
    },
  })();
}
