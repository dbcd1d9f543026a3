// Codes 0xxx: what layermix itself did wrong.

import type { CodeTable } from "../code_table.js";

export const internalCodes: CodeTable = {
  LMX0001: {
    title: "Internal error",
    explanation: `Something inside layermix failed that no input should be able to cause. It is a bug.

The command exits with 1. Run it again with DEBUG=layermix in the environment to see the stack trace.`,
    help: "Report it together with the command, the study file and the stack trace.",
  },
};
