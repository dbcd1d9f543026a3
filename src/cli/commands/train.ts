// `layermix train`: one proxy run of the model itself. A study of one trial, so it survives and resumes like a sweep.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Args, Flags } from "@oclif/core";
import { exitCodes, LayermixError } from "../../diag/diagnostic.js";
import { columns } from "../../report/columns.js";
import { counted, formatCount, formatDuration } from "../../report/format.js";
import { chooseDevice } from "../../run/device.js";
import { prepareStudy } from "../../search/prepare_study.js";
import { singleRunSpec } from "../../search/single_run.js";
import { loadStudy } from "../../spec/load_study.js";
import { locating } from "../../spec/locate_error.js";
import { readTiming, type TrialOutcome, type TrialResult, type TrialTiming } from "../../study/outcome.js";
import { studyLayout, trialLayout } from "../../study/study_layout.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { goOnWith } from "../next_command.js";
import { countFlag, lengthFlag } from "../quantity_flags.js";
import { sharedFlags } from "../shared_flags.js";
import { studyFlags } from "../study_flags.js";
import { overviewText } from "../study_overview.js";
import { defaultStudyFolder, runStudy } from "../study_session.js";

export class Train extends LayermixCommand {
  static override summary = "Train the proxy of a model once and keep the checkpoint.";
  static override description =
    "Trains the model of a study file, at the size its proxy section gives it, on one of its tasks, and measures it on " +
    "held-out data. The same command again resumes an interrupted run, to the same bits.";
  static override examples = [
    "<%= config.bin %> train preset:quickstart --tokens 200K",
    "<%= config.bin %> train study.yaml --task recall --out runs/recall",
    "<%= config.bin %> train study.yaml --sequence 1K --batch-tokens 16K --json",
  ];
  static override args = {
    file: Args.string({ description: "Study file, preset:NAME, or - for stdin.", required: true }),
  };
  static override flags = {
    task: Flags.string({
      description: "One of the study's tasks, the first by default. Example: --task recall",
      helpValue: "NAME",
    }),
    tokens: countFlag("tokens", "Tokens to train on; K, M and B are powers of 1000. Example: --tokens 20M"),
    sequence: lengthFlag("sequence", "Tokens per sequence; K is 1024. Example: --sequence 1K"),
    "batch-tokens": countFlag("batch-tokens", "Tokens per optimizer step. Example: --batch-tokens 16384"),
    out: sharedFlags.out,
    seed: sharedFlags.seed,
    device: sharedFlags.device,
    set: sharedFlags.set,
    ...studyFlags,
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Train);
    const device = chooseDevice(flags.device);
    const loaded = await loadStudy(args.file, { set: flags.set ?? [] });
    const spec = singleRunSpec(
      { ...loaded.spec, folder: resolve(loaded.spec.folder) },
      {
        task: flags.task,
        tokens: flags.tokens,
        sequence: flags.sequence,
        batchTokens: flags["batch-tokens"],
      },
    );
    const options = { seed: flags.seed ?? 0, device, version: this.config.version };
    const study = await prepareStudy(spec, options).catch((error: unknown) =>
      locating(loaded.document, () => {
        throw error;
      }),
    );
    const folder = flags.out ?? defaultStudyFolder(`${spec.name}-train`);
    this.note(overviewText(study, folder));
    const { statuses } = await runStudy({
      study,
      folder,
      source: loaded.document.value,
      file: args.file,
      resume: goOnWith("train", this.argv),
      device,
      workers: 1,
      checkpointSeconds: flags["checkpoint-every"],
      keepCheckpoints: true,
      retryFailed: flags["retry-failed"],
      interactive: this.interactive,
      note: (text) => this.note(text),
    });
    const id = study.trials[0]!.id;
    const trialFolder = studyLayout.trial(folder, id);
    const timing = readTiming(trialFolder);
    const result = orFail(statuses.get(id)?.outcome, trialFolder);
    const { status, steps, tokens, metrics, evaluations } = result;
    // A sweep that ran this very trial in this folder has kept its result and not its checkpoint.
    const path = trialLayout.checkpoint(trialFolder);
    const checkpoint = existsSync(path) ? path : null;
    return {
      data: {
        folder,
        trial: id,
        checkpoint,
        status,
        steps,
        tokens,
        metrics,
        evaluations,
        tokensPerSecond: timing?.tokensPerSecond ?? null,
      },
      text: resultText(result, checkpoint, timing),
      warnings: loaded.warnings,
    };
  }
}

/** The result of a run that reached its end. Throws LMX4019 (exit 5) otherwise. */
function orFail(outcome: TrialOutcome | undefined, trialFolder: string): TrialResult {
  if (outcome !== undefined && "status" in outcome && outcome.status === "done") return outcome;
  const reason =
    outcome === undefined
      ? "it has no result"
      : "status" in outcome
        ? `the loss was not a finite number after ${outcome.steps} steps`
        : `${outcome.code} ${outcome.message}`;
  throw new LayermixError(
    {
      code: "LMX4019",
      severity: "error",
      message: `Expected the run to reach its end, got: ${reason}`,
      help: [`Everything it logged is in ${trialFolder}.`],
    },
    exitCodes.trialFailed,
  );
}

function resultText(result: TrialResult, checkpoint: string | null, timing: TrialTiming | undefined): string {
  const rows = result.evaluations.map(({ step, metrics }) => [
    `step ${step}`,
    ...Object.entries(metrics)
      .filter((entry): entry is [string, number] => typeof entry[1] === "number")
      .map(([name, value]) => `${name} ${value.toFixed(4)}`),
  ]);
  const speed =
    timing === undefined
      ? ""
      : `, ${formatCount(timing.tokensPerSecond)} tokens/s, ${formatDuration(timing.trainSeconds)} of training`;
  return [
    "held-out data:",
    columns(
      rows.map((row) => row.map((cell, i) => (i === 0 ? `  ${cell}` : cell))),
      ["left", "left", "left", "left"],
    ),
    `${counted(result.steps, "step")}, ${formatCount(result.tokens)} tokens${speed}`,
    ...(checkpoint === null ? [] : [`checkpoint: ${checkpoint}`]),
  ].join("\n");
}
