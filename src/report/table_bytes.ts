// A table as CSV, JSON or Parquet. In JSON one object per row; in Parquet integers are INT64 and what is unknown is null.

import { ByteWriter, parquetWrite } from "hyparquet-writer";
import { csvText } from "./csv.js";
import type { DataTable } from "./study_tables.js";

export type TableFormat = "csv" | "json" | "parquet";

export function tableBytes(table: DataTable, format: TableFormat): Buffer {
  switch (format) {
    case "csv":
      return Buffer.from(csvText([table.columns.map(({ name }) => name), ...table.rows]));
    case "json":
      return Buffer.from(
        `[\n${rowObjects(table)
          .map((row) => `  ${JSON.stringify(row)}`)
          .join(",\n")}\n]\n`,
      );
    case "parquet":
      return parquetBytes(table);
  }
}

function rowObjects({ columns, rows }: DataTable): readonly Record<string, string | number | null>[] {
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]!])));
}

function parquetBytes({ columns, rows }: DataTable): Buffer {
  const writer = new ByteWriter();
  const types = { text: "STRING", integer: "INT64", number: "DOUBLE" } as const;
  parquetWrite({
    writer,
    columnData: columns.map(({ name, kind }, i) => ({
      name,
      type: types[kind],
      nullable: true,
      data: rows.map((row) => {
        const value = row[i]!;
        return kind === "integer" && value !== null ? BigInt(value) : value;
      }),
    })),
  });
  return Buffer.from(writer.getBuffer());
}
