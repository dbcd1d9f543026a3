// Codes 3xxx (see code_table.ts).

import type { CodeTable } from "../code_table.js";

export const runCodes: CodeTable = {};
