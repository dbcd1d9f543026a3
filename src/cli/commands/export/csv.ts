// `layermix export csv`: the trials of a study as CSV.

import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { exportTable, outFlag, tableArgs, tableFlags } from "../../table_export.js";

export class ExportCsv extends LayermixCommand {
  static override summary = "Write the trials of a study as CSV.";
  static override description =
    "One row per trial (or with --table curves one per measured value along the runs), with the swept values as columns. " +
    "Texts that a spreadsheet would run as a formula have an apostrophe in front.";
  static override examples = [
    "<%= config.bin %> export csv layermix-studies/attention-share",
    "<%= config.bin %> export csv layermix-studies/attention-share --table curves -o curves.csv",
  ];
  static override args = tableArgs;
  static override flags = {
    ...tableFlags,
    out: outFlag("File to write, - for stdout; DIR/trials.csv when absent. Example: -o trials.csv"),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportCsv);
    return exportTable(args.dir, flags.table, "csv", flags.out);
  }
}
