// Plain columns for the terminal (cli-table3 without borders) and the few colours that reports use. Colours
// only where the caller says so; widths are those of what is seen.

import Table from "cli-table3";

export interface TextStyle {
  readonly color: boolean;
  /** Columns of the terminal. */
  readonly width: number;
}

type Alignment = "left" | "right";

const noBorders = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid"].flatMap((side) => [
    [side, ""],
    [`${side}-mid`, ""],
    [`${side}-left`, ""],
    [`${side}-right`, ""],
  ]),
);

/** Rows as aligned columns, two spaces apart, without trailing blanks. */
export function columns(rows: readonly (readonly string[])[], alignment: readonly Alignment[]): string {
  const table = new Table({
    chars: { ...noBorders, "left-mid": "", "mid-mid": "", "right-mid": "", middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    colAligns: [...alignment],
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

const codes = { bold: 1, dim: 2, yellow: 33, cyan: 36 } as const;
export type Paint = keyof typeof codes;

/** `text` in a colour or weight, or as it is where colours are off. */
export function paint(text: string, how: Paint, { color }: TextStyle): string {
  return color && text !== "" ? `\u001b[${codes[how]}m${text}\u001b[0m` : text;
}
