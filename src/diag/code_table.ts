// The shape of the code catalogue. Each room keeps its table in diag/codes/<room>.ts; catalog.ts merges them.
// Ranges: 0xxx internal, 1xxx spec, 2xxx plan, 3xxx model and run, 4xxx study, 5xxx interop, 6xxx usage, 7xxx task and rank.

import type { DiagnosticCode } from "./diagnostic.js";

/** What `layermix explain CODE` prints. */
export interface CodeEntry {
  /** A few words, no trailing period: "Shares do not total 100%". */
  readonly title: string;
  /** Why this is refused and what it means; plain paragraphs separated by blank lines, examples indented by four. */
  readonly explanation: string;
  /** What to do about it, one sentence. */
  readonly help?: string;
}

export type CodeTable = Readonly<Record<DiagnosticCode, CodeEntry>>;
