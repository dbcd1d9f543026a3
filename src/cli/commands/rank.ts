import { Args, Flags } from "@oclif/core";
import { rankStudy } from "../../rank/rank_study.js";
import { rankingCsv } from "../../report/ranking_csv.js";
import { renderRanking } from "../../report/ranking_table.js";
import { readStudy } from "../../study/study_document.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { confidenceFlag } from "../confidence_flag.js";
import { nextCommand } from "../next_command.js";
import { rankingData, trainingSpeeds, trialEnds } from "../ranked_folder.js";

/** `layermix rank DIR`: ranks the finished trials of a study folder again, by any measure; writes nothing. */
export default class Rank extends LayermixCommand {
  static override summary = "Rank the candidates of a study folder.";
  static override description =
    "Orders candidates by their mean over seeds, with intervals; candidates whose difference is not significant are tied. " +
    "Reads the finished trials; an unfinished study gives an unfinished ranking that says what is missing.";
  static override examples = [
    "<%= config.bin %> rank layermix-studies/quickstart",
    "<%= config.bin %> rank layermix-studies/quickstart --by recall --confidence 90%",
    "<%= config.bin %> rank layermix-studies/quickstart --csv > ranking.csv",
  ];

  static override args = {
    dir: Args.string({
      description: "Study folder, as written by layermix sweep. Example: layermix-studies/quickstart",
      required: true,
    }),
  };

  static override flags = {
    by: Flags.string({
      description: "Measure to rank by: score, loss, or a task of the study. Example: --by recall",
      helpValue: "MEASURE",
    }),
    confidence: confidenceFlag(),
    csv: Flags.boolean({
      description: "Print the ranking as CSV. Example: --csv > ranking.csv",
      exclusive: ["json"],
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Rank);
    const document = readStudy(args.dir);
    const ranking = rankStudy(document, trialEnds(args.dir), {
      by: flags.by,
      confidence: flags.confidence,
    });
    const tokensPerSecond = trainingSpeeds(args.dir, document);
    const text = flags.csv
      ? rankingCsv(ranking)
      : renderRanking(ranking, { width: process.stdout.columns ?? 100, color: this.color, tokensPerSecond });
    const data = rankingData(ranking, tokensPerSecond);
    const unfinished = ranking.trials.done < ranking.trials.total;
    return { data, text, ...(unfinished ? nextCommand("status", args.dir) : {}) };
  }
}
