// What is wrong with the options of a block, although some of them may be in doubt: malformed, misspelt, or varied by a
// sweep. Only what stands whatever the doubtful values turn out to be is reported: the block is judged with several sets
// of stand-ins for them, and an issue that is not the same under all of them is left out.

import type { Block, BlockIssue } from "../block/block.js";
import type { Section } from "./checker.js";

/** Options that blocks have in common are small counts; widths are multiples of what heads divide. */
const standIns: readonly { readonly option: number | undefined; readonly hidden: number }[] = [
  { option: undefined, hidden: 4096 },
  { option: 1, hidden: 3 * 4096 },
  { option: 2, hidden: 5 * 4096 },
];

/**
 * The issues of the block that `model` has under the name `kind`; `doubtful` says so of a path below the model ("hidden",
 * "blocks.attention.heads"). No issue is returned twice.
 */
export function blockIssues(
  kind: string,
  block: Block,
  raw: Section,
  model: Section,
  doubtful: (path: string) => boolean,
): readonly BlockIssue[] {
  const keys = new Set([...Object.keys(raw), ...block.widthOptions]);
  const inDoubt = [...keys].filter((key) => doubtful(`blocks.${kind}.${key}`));
  const hiddenInDoubt = typeof model.hidden !== "number" || doubtful("hidden");
  const layers = typeof model.layers === "number" ? model.layers : 1;
  const judge = ({ option, hidden }: (typeof standIns)[number]): readonly BlockIssue[] => {
    const context = { hidden: hiddenInDoubt ? hidden : (model.hidden as number), layers };
    const options = { ...raw, ...Object.fromEntries(inDoubt.map((key) => [key, option])) };
    return block.check(block.resolve(options, context), context);
  };
  const [first, ...others] = inDoubt.length === 0 && !hiddenInDoubt ? standIns.slice(0, 1) : standIns;
  const judged = others.map(judge);
  const same = (a: BlockIssue, b: BlockIssue) => a.option === b.option && a.message === b.message;
  return judge(first!).filter((issue) => judged.every((list) => list.some((other) => same(issue, other))));
}
