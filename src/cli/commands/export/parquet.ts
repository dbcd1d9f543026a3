// `layermix export parquet`: the trials of a study as Parquet.

import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { usageError } from "../../failure.js";
import { exportTable, outFlag, tableArgs, tableFlags } from "../../table_export.js";

export class ExportParquet extends LayermixCommand {
  static override summary = "Write the trials of a study as a Parquet file.";
  static override description =
    "One row per trial (or with --table curves one per measured value along the runs), with the swept values as columns. " +
    "Integers are INT64; unknown values are null.";
  static override examples = [
    "<%= config.bin %> export parquet layermix-studies/attention-share",
    "<%= config.bin %> export parquet layermix-studies/attention-share --table curves -o curves.parquet",
  ];
  static override args = tableArgs;
  static override flags = {
    ...tableFlags,
    out: outFlag("File to write; DIR/trials.parquet when absent. Example: -o trials.parquet"),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportParquet);
    if (flags.out === "-") {
      throw usageError("LMX6005", "Expected a file for a Parquet export, got -", [
        "Name one with -o, or leave it out.",
      ]);
    }
    return exportTable(args.dir, flags.table, "parquet", flags.out);
  }
}
