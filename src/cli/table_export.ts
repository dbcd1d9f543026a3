// What `export csv`, `export json` and `export parquet` share: one study folder to one table in one file, or on stdout.

import { join } from "node:path";
import { Args, Flags } from "@oclif/core";
import { formatBytes } from "../report/format.js";
import { curveTable, trialTable } from "../report/study_tables.js";
import { type TableFormat, tableBytes } from "../report/table_bytes.js";
import { readMeasurements } from "../study/study_measurements.js";
import type { CommandResult } from "./base_command.js";
import { writeOutput } from "./output_file.js";

export const tableArgs = {
  dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
};

export const tableFlags = {
  table: Flags.string({
    description:
      "trials: one row per trial. curves: one row per value along the runs. Example: --table curves",
    options: ["trials", "curves"],
    default: "trials",
  }),
};

export const outFlag = (description: string) => Flags.string({ char: "o", description, helpValue: "FILE" });

/** Writes the table; "-" prints it instead, where it is text. */
export function exportTable(
  folder: string,
  table: string,
  format: TableFormat,
  out: string | undefined,
): CommandResult {
  const measurements = readMeasurements(folder);
  const content = table === "curves" ? curveTable(measurements) : trialTable(measurements);
  const bytes = tableBytes(content, format);
  const columns = content.columns.map(({ name }) => name);
  const size = { bytes: bytes.length, table, rows: content.rows.length, columns };
  if (out === "-") {
    const text = bytes.toString("utf8");
    return { data: { file: null, ...size, content: text }, text };
  }
  const file = out ?? join(folder, `${table}.${format}`);
  writeOutput(file, bytes);
  return {
    data: { file, ...size },
    text: `${file}: ${content.rows.length} rows, ${formatBytes(bytes.length)}`,
  };
}
