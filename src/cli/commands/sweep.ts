// `layermix sweep`: trains every candidate's proxy on every task with every seed, and ranks them.

import { resolve } from "node:path";
import { Args } from "@oclif/core";
import { type Diagnostic, exitCodes, LayermixError } from "../../diag/diagnostic.js";
import { counted, formatCount } from "../../report/format.js";
import { renderRanking } from "../../report/ranking_table.js";
import { chooseDevice } from "../../run/device.js";
import { measureStepSeconds } from "../../run/measure_step.js";
import { type PreparedStudy, prepareStudy } from "../../search/prepare_study.js";
import { loadStudy } from "../../spec/load_study.js";
import { locating } from "../../spec/locate_error.js";
import { isFailure, readOutcome } from "../../study/outcome.js";
import { rememberedStepSeconds } from "../../study/step_times.js";
import type { StudyDocument } from "../../study/study_document.js";
import { studyLayout } from "../../study/study_layout.js";
import type { TrialDefinition } from "../../study/trial.js";
import type { TrialStatus } from "../../study/trial_status.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { renderGpuUse } from "../gpu_use.js";
import { goOnWith, nextCommand } from "../next_command.js";
import { rankingData, trainingSpeeds, writeRanking } from "../ranked_folder.js";
import { sharedFlags } from "../shared_flags.js";
import { studyFlags } from "../study_flags.js";
import { overviewText, sharedProxyWarnings, studySize, trialList } from "../study_overview.js";
import { defaultStudyFolder, runStudy } from "../study_session.js";

export class Sweep extends LayermixCommand {
  static override summary = "Run, or resume, the study of a file and rank its candidates.";
  static override description =
    "Trains a small proxy of every candidate on every task with every seed, in worker processes, and ranks what they " +
    "learned. Everything is kept in a folder; the same command again goes on where it stopped, whatever stopped it.";
  static override examples = [
    "<%= config.bin %> sweep preset:quickstart",
    "<%= config.bin %> sweep study.yaml --workers 8 --out studies/attention",
    "<%= config.bin %> sweep study.yaml --set proxy.seeds=5 --dry-run",
  ];
  static override args = {
    file: Args.string({ description: "Study file, preset:NAME, or - for stdin.", required: true }),
  };
  static override flags = {
    out: sharedFlags.out,
    workers: sharedFlags.workers,
    seed: sharedFlags.seed,
    device: sharedFlags.device,
    set: sharedFlags.set,
    "dry-run": sharedFlags["dry-run"],
    ...studyFlags,
  };

  /** Times training steps, each once; says that it does. Without a folder nothing is kept. */
  private stepTimer(folder: string | undefined, device: string): (definition: TrialDefinition) => number {
    let told = false;
    return rememberedStepSeconds(folder, device, (definition) => {
      if (!told)
        this.note(`Timing training steps on ${device}, to match candidates by them: some seconds for each.`);
      told = true;
      return measureStepSeconds(definition, device, 1);
    });
  }

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Sweep);
    const device = chooseDevice(flags.device);
    const loaded = await loadStudy(args.file, { set: flags.set ?? [] });
    const spec = { ...loaded.spec, folder: resolve(loaded.spec.folder) };
    const { version } = this.config;
    const folder = flags.out ?? defaultStudyFolder(spec.name);
    const stepSeconds = this.stepTimer(flags["dry-run"] ? undefined : folder, device);
    const study = await prepareStudy(spec, { seed: flags.seed ?? 0, device, version, stepSeconds }).catch(
      (error: unknown) =>
        locating(loaded.document, () => {
          throw error;
        }),
    );
    const warnings = [...loaded.warnings, ...sharedProxyWarnings(study.document)];
    if (flags["dry-run"]) return dryRun(study, folder, flags["retry-failed"], warnings);
    this.note(overviewText(study, folder));
    const { document, statuses, hours, gpu } = await runStudy({
      study,
      folder,
      source: loaded.document.value,
      file: args.file,
      resume: goOnWith("sweep", this.argv),
      device,
      workers: flags.workers,
      checkpointSeconds: flags["checkpoint-every"],
      keepCheckpoints: false,
      retryFailed: flags["retry-failed"],
      interactive: this.interactive,
      note: (text) => this.note(text),
    });
    if (gpu !== undefined) this.note(renderGpuUse(gpu));
    const ranking = writeRanking(folder, document);
    const speeds = trainingSpeeds(folder, document);
    const unfinished = budgetWarning(document, hours);
    const failure = failedTrials(statuses, folder);
    return {
      data: {
        folder,
        name: spec.name,
        ...rankingData(ranking, speeds),
        ...(gpu === undefined ? {} : { gpu }),
      },
      text: renderRanking(ranking, {
        color: this.color,
        width: process.stdout.columns ?? 100,
        tokensPerSecond: speeds,
      }),
      warnings: [...warnings, ...unfinished],
      ...(failure === undefined ? {} : { failure }),
      ...nextCommand("report", folder),
    };
  }
}

function dryRun(
  study: PreparedStudy,
  folder: string,
  retryFailed: boolean,
  warnings: CommandResult["warnings"] = [],
): CommandResult {
  const trials = study.document.trials.map(({ id, candidate, task, seed }) => ({
    id,
    candidate: study.document.candidates[candidate]!.name,
    task: study.document.tasks[task]!.task,
    seed,
  }));
  const ended = trials.filter(({ id }) => {
    const outcome = readOutcome(studyLayout.trial(folder, id));
    return outcome !== undefined && !(retryFailed && isFailure(outcome));
  }).length;
  const already =
    ended === 0 ? [] : [`${ended} of ${counted(trials.length, "trial")} ended before and are not run again`];
  return {
    data: { folder, name: study.document.name, size: studySize(study), trials, ended },
    text: [overviewText(study, folder), trialList(study), ...already].join("\n"),
    warnings,
    next: "the same command without --dry-run",
  };
}

/** LMX4021, when the budget has left something out. */
function budgetWarning({ search, trials }: StudyDocument, hours: number | undefined): readonly Diagnostic[] {
  const { budget } = search;
  if (budget === undefined || (!budget.exhausted && hours === undefined)) return [];
  const spent = hours === undefined ? "" : `, ${hours.toFixed(2)} of them spent`;
  return [
    {
      code: "LMX4021",
      severity: "warning",
      message: `The budget of ${formatCount(budget.limit)} ${budget.unit}${spent}, leaves trials out: the ranking shows what is there`,
      help: [
        `raise sweep.budget.${budget.unit} and run the same command again: ${trials.length} trials are kept`,
      ],
    },
  ];
}

/** Exit 5 when trials could not be run to an end; a diverged trial has ended. */
function failedTrials(statuses: ReadonlyMap<string, TrialStatus>, folder: string): LayermixError | undefined {
  const failed = [...statuses.values()].filter(
    ({ outcome }) => outcome !== undefined && isFailure(outcome),
  ).length;
  if (failed === 0) return undefined;
  return new LayermixError(
    {
      code: "LMX4015",
      severity: "error",
      message: `${failed} of ${statuses.size} trials failed; the ranking shows what is there`,
      help: [`layermix status ${folder} says why; --retry-failed tries them again.`],
    },
    exitCodes.trialFailed,
  );
}
