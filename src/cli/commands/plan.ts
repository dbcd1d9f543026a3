// `layermix plan`: what a model, and every candidate of its sweep, looks like and costs.

import { Args, Flags } from "@oclif/core";
import { planCandidates } from "../../estimate/candidates.js";
import { defaultEstimateOptions, type EstimateOptions, estimate } from "../../estimate/estimate.js";
import type { TrainingPrecision } from "../../estimate/training_memory.js";
import { plan } from "../../plan/plan.js";
import { type PlannedModel, planJson } from "../../report/plan_json.js";
import { planText } from "../../report/plan_text.js";
import { sweepText } from "../../report/sweep_text.js";
import { loadStudy } from "../../spec/load_study.js";
import { locating } from "../../spec/locate_error.js";
import type { LoadedStudy } from "../../spec/parse_study.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { usageError } from "../failure.js";
import { nextCommand } from "../next_command.js";
import { lengthFlag } from "../quantity_flags.js";
import { sharedFlags } from "../shared_flags.js";

export class PlanCommand extends LayermixCommand {
  static override summary = "Show layout, parameters, FLOPs and memory of a model and of its candidates.";
  static override description =
    "Plans the model of each file: which layer goes where, exact parameters, FLOPs of a training step (exact, and as " +
    "Megatron counts them), training memory, KV cache and recurrent state. With a sweep, every candidate as well.";
  static override examples = [
    "<%= config.bin %> plan study.yaml",
    "<%= config.bin %> plan preset:mamba2-hybrid-8b --sequence 8K --batch 4",
    "<%= config.bin %> plan study.yaml --set model.hidden=2048 --json",
  ];
  static override strict = false;
  static override args = {
    file: Args.string({ description: "Study files, preset:NAME, or - for stdin.", required: true }),
  };
  static override flags = {
    sequence: lengthFlag(
      "sequence",
      "Tokens per sequence, 4096 by default; K is 1024. Example: --sequence 8K",
    ),
    batch: Flags.integer({
      description: "Sequences per training step. Example: --batch 8",
      helpValue: "COUNT",
      default: 1,
      min: 1,
      max: 1_000_000_000,
    }),
    "micro-batch": Flags.integer({
      description:
        "Sequences per forward pass, for training memory; the batch by default. Example: --micro-batch 1",
      helpValue: "COUNT",
      min: 1,
      max: 1_000_000_000,
    }),
    precision: Flags.string({
      description: "What training memory is counted for; bf16 keeps fp32 masters. Example: --precision fp32",
      options: ["bf16", "fp32", "fp64"],
      default: "bf16",
    }),
    set: sharedFlags.set,
  };

  protected override async execute(): Promise<CommandResult> {
    const { argv, flags } = await this.parse(PlanCommand);
    const options = workload(flags);
    const studies: LoadedStudy[] = [];
    for (const file of argv as string[]) studies.push(await loadStudy(file, { set: flags.set ?? [] }));
    const planned = studies.map((study) => locating(study.document, () => planStudy(study, options)));
    const width = Math.max(40, Math.min(process.stdout.columns ?? 100, 120));
    const style = { color: this.color, width };
    const texts = planned.map(({ model, candidates, dropped }) =>
      [
        planText(model, options, style),
        candidates.length + dropped.length > 0 ? sweepText(candidates, dropped, style) : "",
      ]
        .filter((part) => part !== "")
        .join("\n\n"),
    );
    const [first] = argv as string[];
    return {
      data: {
        models: planned.flatMap(({ model, candidates }) => [model, ...candidates].map(planJson)),
        dropped: planned.flatMap(({ dropped }) => dropped),
      },
      text: texts.join("\n\n"),
      warnings: studies.flatMap((study) => study.warnings),
      ...nextCommand(studies[0]?.spec.proxy === undefined ? "project" : "sweep", first),
    };
  }
}

interface PlannedStudy {
  readonly model: PlannedModel;
  readonly candidates: readonly PlannedModel[];
  readonly dropped: ReturnType<typeof planCandidates>["dropped"];
}

function planStudy({ spec }: LoadedStudy, options: EstimateOptions): PlannedStudy {
  const model = plan(spec);
  const priced = { name: spec.name, plan: model, cost: estimate(model, options) };
  if (spec.sweep === undefined) return { model: priced, candidates: [], dropped: [] };
  const { candidates, dropped } = planCandidates(spec, options);
  return {
    model: priced,
    candidates: candidates.map((candidate) => ({ ...candidate, cost: estimate(candidate.plan, options) })),
    dropped,
  };
}

function workload(flags: {
  readonly sequence?: number | undefined;
  readonly batch: number;
  readonly "micro-batch"?: number | undefined;
  readonly precision: string;
}): EstimateOptions {
  const { sequence = defaultEstimateOptions.sequence, batch, "micro-batch": microBatch } = flags;
  if (microBatch !== undefined && batch % microBatch !== 0) {
    const message = `Expected --micro-batch to divide the batch of ${batch}, got ${microBatch}`;
    throw usageError("LMX6006", message);
  }
  const precision = flags.precision as TrainingPrecision;
  return { sequence, batch, precision, ...(microBatch === undefined ? {} : { microBatch }) };
}
