// --confidence, as every command that shows intervals takes it.

import { Flags } from "@oclif/core";
import { usageError } from "./failure.js";

export const confidenceFlag = Flags.custom<number>({
  description: "Confidence of intervals and ties. Example: --confidence 90%",
  helpValue: "SHARE",
  parse: async (input) => {
    const share = input.endsWith("%") ? Number(input.slice(0, -1)) / 100 : Number(input);
    if (share > 0 && share < 1) return share;
    const message = `Expected --confidence to be a share above 0% and below 100%, got ${input}`;
    throw usageError("LMX6005", message, ["For example --confidence 95%."]);
  },
});
