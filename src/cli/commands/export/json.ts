// `layermix export json`: the trials of a study as JSON.

import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { exportTable, outFlag, tableArgs, tableFlags } from "../../table_export.js";

export class ExportJson extends LayermixCommand {
  static override summary = "Write the trials of a study as a JSON array of rows.";
  static override description =
    "One row per trial (or with --table curves one per measured value along the runs), with the swept values as columns. " +
    "Unknown values are null.";
  static override examples = [
    "<%= config.bin %> export json layermix-studies/attention-share",
    "<%= config.bin %> export json layermix-studies/attention-share --table curves -o curves.json",
  ];
  static override args = tableArgs;
  static override flags = {
    ...tableFlags,
    out: outFlag("File to write, - for stdout; DIR/trials.json when absent. Example: -o trials.json"),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ExportJson);
    return exportTable(args.dir, flags.table, "json", flags.out);
  }
}
