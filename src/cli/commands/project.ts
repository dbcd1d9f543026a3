// `layermix project`: how fast a model, and every candidate of its sweep, answers on a device, and what it keeps there.

import { Args, Flags } from "@oclif/core";
import { planCandidates } from "../../estimate/candidates.js";
import { plan } from "../../plan/plan.js";
import type { Plan } from "../../plan/plan_types.js";
import { cacheTypes, type ElementTypes, stateTypes, weightTypes } from "../../project/element_types.js";
import type { Hardware } from "../../project/hardware.js";
import { loadHardware } from "../../project/load_hardware.js";
import { type ProjectOptions, project } from "../../project/project.js";
import type { Projection } from "../../project/projection.js";
import { candidatesTable, projectFooter, projectText } from "../../report/project_text.js";
import { speedupSvg } from "../../report/speedup_svg.js";
import { namesFile } from "../../spec/check_project.js";
import { loadStudy } from "../../spec/load_study.js";
import { locating } from "../../spec/locate_error.js";
import type { LoadedStudy } from "../../spec/parse_study.js";
import { defaultProject } from "../../spec/resolve_spec.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { usageError } from "../failure.js";
import { nextCommand } from "../next_command.js";
import { writeOutput } from "../output_file.js";
import { listFlag, memoryShareFlag } from "../projection_flags.js";
import { sharedFlags } from "../shared_flags.js";

/** The calibrated device whose utilisation stands in for that of devices nobody has measured. */
const referenceHardware = "h200";

export class ProjectCommand extends LayermixCommand {
  static override summary = "Project inference speed and memory of a model and of its candidates.";
  static override description =
    "Time of a prompt and of a token, throughput, KV cache, recurrent state and the largest batch, over contexts, on a " +
    "device that need not be there; beside a baseline, the speed-up and the context from which it pays. Utilisation " +
    "depends on the shape of every operation: measured by layermix calibrate, or carried over, with a band that says how " +
    "sure it is. Flags override the file's project section.";
  static override examples = [
    "<%= config.bin %> project preset:mamba2-hybrid-8b --baseline transformer-8b",
    "<%= config.bin %> project study.yaml --hardware h100-sxm --contexts 4K,32K,128K,1M --batch 1,32",
    "<%= config.bin %> project preset:nemotron-h-8b --weights fp8 --cache fp8 --state bf16 --breakdown",
    "<%= config.bin %> project preset:mamba2-hybrid-8b --tensor-parallel 4 --baseline transformer-8b --svg speedup.svg",
  ];
  static override strict = false;
  static override args = {
    file: Args.string({ description: "Study files, preset:NAME, or - for stdin.", required: true }),
  };
  static override flags = {
    hardware: Flags.string({
      description: "A device of layermix hardware list, or a hardware file. Example: --hardware h200",
      helpValue: "NAME",
    }),
    contexts: listFlag("contexts", "Context lengths in tokens; K is 1024.", "4K,32K,128K", true),
    batch: listFlag("batch", "Sequences decoded at the same time.", "1,32", false),
    baseline: Flags.string({
      description: "Model to compare with: a preset or a study file. Example: --baseline transformer-8b",
      helpValue: "NAME",
    }),
    weights: Flags.string({
      description: "Type of the layers' matrices; the device's by default. Example: --weights fp8",
      options: [...weightTypes],
    }),
    cache: Flags.string({
      description: "Type of the KV cache. Example: --cache fp8",
      options: [...cacheTypes],
    }),
    state: Flags.string({
      description: "Type of the recurrent state; fp32 by default. Example: --state bf16",
      options: [...stateTypes],
    }),
    "tensor-parallel": Flags.integer({
      description: "Devices that share every layer. Example: --tensor-parallel 4",
      helpValue: "COUNT",
      default: 1,
      min: 1,
      max: 1024,
    }),
    "memory-share": memoryShareFlag(),
    breakdown: Flags.boolean({
      description: "Show where the time of a token goes, by operation. Example: --breakdown",
    }),
    svg: Flags.string({
      description: "Write the curve of the speed-up to this file. Example: --svg speedup.svg",
      helpValue: "FILE",
    }),
    set: sharedFlags.set,
  };

  protected override async execute(): Promise<CommandResult> {
    const { argv, flags } = await this.parse(ProjectCommand);
    const files = argv as string[];
    const results: ProjectedStudy[] = [];
    for (const file of files) results.push(await projectStudy(file, flags));
    const all = results.flatMap(({ model, candidates }) => [...model, ...candidates]);
    if (flags.svg !== undefined) this.#writeSvg(flags.svg, results);
    const width = Math.max(40, Math.min(process.stdout.columns ?? 110, 120));
    const unicode = process.env.TERM !== "dumb";
    const style = { color: this.color, width, unicode };
    const texts = results.flatMap(({ model, candidates, hardware, batches }) => [
      ...model.map((one) => projectText(one, hardware.name, style, { breakdown: flags.breakdown })),
      ...(candidates.length === 0
        ? []
        : batches.map((batch) => {
            const ofBatch = candidates.filter((candidate) => candidate.batch === batch);
            const title = `candidates on ${hardware.name}, batch ${batch}`;
            return `${title}\n${candidatesTable(ofBatch, style)}`;
          })),
    ]);
    const uncalibrated = results.some(({ hardware }) => hardware.calibration === undefined);
    return {
      data: { models: all, dropped: results.flatMap(({ dropped }) => dropped) },
      text: [...texts, projectFooter(all, process.stdout.columns ?? Number.POSITIVE_INFINITY)].join("\n\n"),
      warnings: results.flatMap(({ study }) => study.warnings),
      ...(uncalibrated ? { next: "layermix calibrate" } : nextCommand("plan", files[0])),
    };
  }

  #writeSvg(file: string, results: readonly ProjectedStudy[]): void {
    const [first] = results;
    const drawn = results
      .flatMap(({ model, candidates }) => (candidates.length > 0 ? candidates : model))
      .filter(({ batch, speedups }) => batch === first!.batches[0] && (speedups?.length ?? 0) > 2);
    if (drawn.length === 0) {
      throw usageError("LMX6006", "--svg draws a speed-up, which needs --baseline and two contexts", [
        "for example --baseline transformer-8b --contexts 1K,128K",
      ]);
    }
    writeOutput(file, speedupSvg(drawn, first!.hardware.name));
    this.note(`Wrote ${file}`);
  }
}

interface ProjectedStudy {
  readonly study: LoadedStudy;
  readonly hardware: Hardware;
  readonly batches: readonly number[];
  /** The model, once per batch. */
  readonly model: readonly Projection[];
  /** The candidates of its sweep, for every batch. */
  readonly candidates: readonly Projection[];
  readonly dropped: ReturnType<typeof planCandidates>["dropped"];
}

interface GivenFlags {
  readonly hardware?: string | undefined;
  readonly contexts?: readonly number[] | undefined;
  readonly batch?: readonly number[] | undefined;
  readonly baseline?: string | undefined;
  readonly weights?: string | undefined;
  readonly cache?: string | undefined;
  readonly state?: string | undefined;
  readonly "tensor-parallel": number;
  readonly "memory-share"?: number | undefined;
  readonly set?: readonly string[] | undefined;
}

async function projectStudy(file: string, flags: GivenFlags): Promise<ProjectedStudy> {
  const study = await loadStudy(file, { set: flags.set ?? [] });
  const section = study.spec.project ?? defaultProject;
  const hardware =
    flags.hardware === undefined
      ? await loadHardware(section.hardware, study.spec.folder)
      : await loadHardware(flags.hardware);
  const reference = await loadHardware(referenceHardware);
  const baseline = await loadBaseline(study, flags.baseline);
  const batches = flags.batch ?? [section.batch];
  const types = Object.fromEntries(
    (["weights", "cache", "state"] as const).flatMap((key) =>
      flags[key] === undefined ? [] : [[key, flags[key]]],
    ),
  ) as Partial<ElementTypes>;
  const options: Omit<ProjectOptions, "batch"> = {
    hardware,
    ...(reference.calibration === undefined || reference.id === hardware.id ? {} : { reference }),
    contexts: flags.contexts ?? section.contexts,
    types,
    ranks: flags["tensor-parallel"],
    ...(flags["memory-share"] === undefined ? {} : { memoryShare: flags["memory-share"] }),
    ...(baseline === undefined ? {} : { baseline }),
  };
  return locating(study.document, () => {
    const { spec } = study;
    const sweep = spec.sweep === undefined ? { candidates: [], dropped: [] } : planCandidates(spec);
    const projected = (plans: readonly Plan[]) =>
      batches.flatMap((batch) => plans.map((one) => project(one, { ...options, batch })));
    return {
      study,
      hardware,
      batches,
      model: projected([plan(spec)]),
      candidates: projected(
        sweep.candidates.map((candidate) => ({ ...candidate.plan, name: candidate.name })),
      ),
      dropped: sweep.dropped,
    };
  });
}

/** The model to compare with: the flag's, relative to the working folder, or the file's, relative to its own. */
async function loadBaseline({ spec }: LoadedStudy, given: string | undefined): Promise<Plan | undefined> {
  const name = given ?? spec.project?.baseline;
  if (name === undefined) return undefined;
  const source = namesFile(name) ? name : `preset:${name.replace(/^preset:/, "")}`;
  const file = given === undefined && namesFile(name) ? `${spec.folder}/${source}` : source;
  const loaded = await loadStudy(file);
  return locating(loaded.document, () => plan(loaded.spec));
}
