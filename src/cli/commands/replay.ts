// `layermix replay DIR`: search strategies on the curves of a finished study, without training.

import { Args, Flags } from "@oclif/core";
import { type DiagnosticCode, type ExitCode, exitCodes, LayermixError } from "../../diag/diagnostic.js";
import { taskLabels } from "../../rank/task_labels.js";
import { replayTable } from "../../report/replay_table.js";
import { studyCurves } from "../../search/curves.js";
import { type ReplayedSpec, replayStudy } from "../../search/replay_study.js";
import { readOutcome } from "../../study/outcome.js";
import { readStudy } from "../../study/study_document.js";
import { studyLayout } from "../../study/study_layout.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { shareFlag } from "../quantity_flags.js";

const kinds = ["grid", "random", "halving", "asha"] as const;
type Kind = (typeof kinds)[number];

export class Replay extends LayermixCommand {
  static override summary = "Run search strategies on the curves of a finished study, without training.";
  static override description =
    "Shows what a strategy would have spent and found: tokens, regret (how much worse the candidate it names is than the " +
    "best), how often it names the best, and how many of the best three. Without --strategy the usual ones are compared. " +
    "Rungs move to the next share of the run at which held-out data were evaluated; the candidates come in another order " +
    "in every repeat.";
  static override examples = [
    "<%= config.bin %> replay layermix-studies/quickstart",
    "<%= config.bin %> replay layermix-studies/quickstart --strategy asha --rungs 3 --keep 33% --workers 8",
    "<%= config.bin %> replay layermix-studies/quickstart --by recall --seeds 1 --json",
  ];
  static override args = {
    dir: Args.string({ description: "Study folder, as written by layermix sweep.", required: true }),
  };
  static override flags = {
    strategy: Flags.string({
      description: "One strategy instead of several. Example: --strategy asha",
      options: kinds,
    }),
    rungs: Flags.integer({
      helpValue: "COUNT",
      description: "Rungs of halving and asha; default: 3. Example: --strategy halving --rungs 3",
      min: 1,
      max: 16,
      dependsOn: ["strategy"],
    }),
    keep: shareFlag(
      "keep",
      "Share that goes on from each rung; default: 50%. Example: --strategy asha --keep 33%",
      ["strategy"],
    ),
    trials: Flags.integer({
      helpValue: "COUNT",
      description: "Candidates to begin with; default: all. Example: --strategy random --trials 9",
      min: 1,
      dependsOn: ["strategy"],
    }),
    workers: Flags.integer({
      helpValue: "COUNT",
      description: "Workers of asha. Example: --workers 8",
      min: 1,
      max: 1024,
      default: 4,
    }),
    repeats: Flags.integer({
      helpValue: "COUNT",
      description: "Orders to try. Example: --repeats 500",
      min: 1,
      max: 100_000,
      default: 200,
    }),
    seeds: Flags.integer({
      helpValue: "COUNT",
      description: "Seeds that the strategy sees, drawn in every repeat; default: all. Example: --seeds 1",
      min: 1,
    }),
    by: Flags.string({
      description: "Measure: score, loss or a task. Example: --by recall",
      helpValue: "MEASURE",
    }),
    seed: Flags.integer({
      description: "Seed of the orders. Example: --seed 7",
      helpValue: "NUMBER",
      min: 0,
      default: 0,
    }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Replay);
    const document = readStudy(args.dir);
    const by = flags.by ?? document.spec.rank.by;
    const curves = studyCurves(document, by, (id) => readOutcome(studyLayout.trial(args.dir, id)));
    if (curves === undefined) {
      const labels = taskLabels(document.spec.proxy?.tasks ?? []);
      const help = `this study can be replayed by: ${["score", "loss", ...labels].join(", ")}`;
      throw refused("LMX7010", `Expected a measure of the study, got ${by}`, help, exitCodes.usage);
    }
    const { candidates, seeds, left, shares } = curves;
    if (candidates.length < 2) {
      const message = `Expected at least two candidates with finished runs in ${args.dir}, got ${candidates.length}`;
      const whole = document.search.strategy === "grid";
      const help = whole
        ? "layermix status shows which trials are missing or failed, and how to go on"
        : "replay needs a study with strategy: grid, evaluated often (proxy.evaluate_every: 5%)";
      throw refused("LMX4022", message, help, exitCodes.infeasible);
    }
    const options = {
      workers: flags.workers,
      repeats: flags.repeats,
      seeds: Math.min(flags.seeds ?? seeds.length, seeds.length),
      seed: flags.seed,
    };
    const specs =
      flags.strategy === undefined ? usual(candidates.length) : [chosen(flags.strategy as Kind, flags)];
    const rows = specs.map((spec) => replayStudy(curves, spec, options));
    return {
      data: {
        folder: args.dir,
        by,
        direction: curves.direction,
        candidates: candidates.map(({ name }) => name),
        left,
        shares,
        ...options,
        strategies: rows.map(({ spec, ...row }) => ({ ...spec, ...row })),
      },
      text: [
        replayTable(rows, { width: process.stdout.columns ?? 100, color: this.color }),
        "",
        `${candidates.length} candidates, ${options.seeds} of ${seeds.length} seeds seen, ${flags.repeats} orders; regret in units of ${by}`,
        evaluatedAt(shares),
        ...(left.length === 0 ? [] : [`left out, without finished runs: ${left.join(", ")}`]),
      ].join("\n"),
    };
  }
}

/** Where rungs can lie; a strategy whose rungs lie elsewhere trains on to the next such place. */
function evaluatedAt(shares: readonly number[]): string {
  const percent = (share: number): string => `${Number((100 * share).toFixed(1))}%`;
  if (shares.length === 1) {
    return "evaluated at the end alone, so no strategy can stop a run early: set proxy.evaluate_every, such as 5%";
  }
  if (shares.length <= 6)
    return `rungs lie where held-out data were evaluated: at ${shares.map(percent).join(", ")} of the run`;
  return `rungs lie where held-out data were evaluated: every ${percent(shares[0]!)} of the run, and at its end`;
}

/** Each strategy as one would try it first. */
function usual(candidates: number): readonly ReplayedSpec[] {
  return [
    { kind: "grid" },
    ...[2, 3].map((part) => ({ kind: "random" as const, trials: Math.ceil(candidates / part) })),
    ...(["halving", "asha"] as const).flatMap((kind) => [
      { kind, rungs: 3, keep: 1 / 2 },
      { kind, rungs: 3, keep: 1 / 3 },
      { kind, rungs: 4, keep: 1 / 2 },
    ]),
  ];
}

function chosen(
  kind: Kind,
  {
    rungs = 3,
    keep = 0.5,
    trials,
  }: {
    readonly rungs: number | undefined;
    readonly keep: number | undefined;
    readonly trials: number | undefined;
  },
): ReplayedSpec {
  if (kind === "grid") return { kind };
  if (kind === "random") return { kind, trials: trials ?? Number.MAX_SAFE_INTEGER };
  return { kind, rungs, keep, ...(trials === undefined ? {} : { trials }) };
}

function refused(code: DiagnosticCode, message: string, help: string, exitCode: ExitCode): LayermixError {
  return new LayermixError({ code, severity: "error", message, help: [help] }, exitCode);
}
