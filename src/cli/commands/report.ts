// `layermix report`: a study as one HTML file.

import { join } from "node:path";
import { Args, Flags } from "@oclif/core";
import { formatBytes } from "../../report/format.js";
import { renderPage } from "../../report/page/page.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { writeOutput } from "../output_file.js";
import { studyReport, studyServing } from "../study_report.js";

export class Report extends LayermixCommand {
  static override summary = "Write a study as one HTML file: ranking, charts, costs, how to reproduce.";
  static override description =
    "The file holds everything it shows and loads nothing: it opens without a network, in print, with or without " +
    "scripts. An unfinished study gives a report of what is known so far. The same study gives the same bytes.";
  static override examples = [
    "<%= config.bin %> report layermix-studies/attention-share",
    "<%= config.bin %> report layermix-studies/attention-share -o attention.html --by recall",
  ];
  static override args = {
    dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
  };
  static override flags = {
    out: Flags.string({
      char: "o",
      description: "File to write, - for stdout; DIR/report.html when absent. Example: -o attention.html",
      helpValue: "FILE",
    }),
    by: Flags.string({
      description: "Measure to rank by: score, loss, or a task of the study. Example: --by recall",
      helpValue: "MEASURE",
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Report);
    const model = studyReport(args.dir, flags.by, await studyServing(args.dir));
    const file = flags.out ?? join(args.dir, "report.html");
    const { html } = renderPage(model);
    const bytes = Buffer.byteLength(html);
    const { trials } = model.ranking;
    const { name } = model.document;
    if (file === "-") return { data: { file: null, bytes, name, trials, content: html }, text: html };
    writeOutput(file, html);
    return {
      data: { file, bytes, name, trials },
      text: `${file}: ${name}, ${trials.done} of ${trials.total} trials done, ${formatBytes(bytes)}`,
    };
  }
}
