// CSV as RFC 4180 quotes it, safe to open in a spreadsheet: a text that a spreadsheet would take for a formula gets a
// leading apostrophe (OWASP, "CSV Injection"). Numbers are written in full; nothing known is an empty cell.

export type CsvCell = string | number | null;

/** Rows to text, lines ended by a newline. */
export function csvText(rows: readonly (readonly CsvCell[])[]): string {
  return rows.map((row) => `${row.map(csvCell).join(",")}\n`).join("");
}

function csvCell(cell: CsvCell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  const safe = /^[=+\-@\t\r\n]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
