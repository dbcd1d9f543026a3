// `layermix import hf`: the configuration of a Hugging Face model as a study file.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Args, Flags } from "@oclif/core";
import { countParameters } from "../../../estimate/parameters.js";
import { importHuggingFace, importWarnings } from "../../../interop/import_huggingface.js";
import { formatInteger } from "../../../report/format.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";
import { usageError } from "../../failure.js";
import { nextCommand } from "../../next_command.js";
import { presetText } from "../../study_template.js";
import { cannotWrite } from "../../write_error.js";

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export class ImportHuggingFace extends LayermixCommand {
  static override summary = "Write a study file from the configuration of a Hugging Face model.";
  static override description =
    "Reads config.json (the weights are not needed) of NemotronH, Mamba, Mamba-2, Falcon-Mamba, Jamba, Bamba, Granite 4, " +
    "Falcon-H1, Zamba2, Qwen3-Next, OLMo-Hybrid, Kimi Linear, MiniMax-01, RecurrentGemma, LFM2, Llama, Mistral and Mixtral " +
    "models, and writes the study file of the same model: same layers, same parameters. What a study file cannot say is " +
    "listed as warnings. Without -o the file goes to stdout.";
  static override examples = [
    "<%= config.bin %> import hf models/Jamba-v0.1 -o jamba.yaml",
    "<%= config.bin %> import hf config.json --name mine | <%= config.bin %> plan -",
  ];
  static override args = {
    source: Args.string({
      description: "A config.json, or the folder of a model that has one.",
      required: true,
    }),
  };
  static override flags = {
    out: Flags.string({ char: "o", description: "File to write. Example: -o study.yaml", helpValue: "FILE" }),
    name: Flags.string({
      description: "Name of the study; that of the folder by default. Example: --name jamba",
      helpValue: "NAME",
    }),
    force: Flags.boolean({ description: "Overwrite the file if it exists. Example: --force" }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(ImportHuggingFace);
    if (flags.name !== undefined && !namePattern.test(flags.name)) {
      throw usageError(
        "LMX6005",
        `Expected --name to be letters, digits, '.', '_' and '-', got ${flags.name}`,
      );
    }
    const study = importHuggingFace(args.source, flags.name);
    const { name, type, plan, notCarried } = study;
    const text = flags.out === undefined ? study.text : presetText(study.text, flags.out);
    if (flags.out !== undefined) await write(flags.out, text, flags.force);
    const params = countParameters(plan);
    const active = params.active === params.total ? "" : `, ${formatInteger(params.active)} active`;
    const size = `${plan.layers.length} layers, ${formatInteger(params.total)} parameters${active}`;
    return {
      data: {
        name,
        type,
        ...(flags.out === undefined ? {} : { file: flags.out }),
        pattern: plan.pattern,
        counts: plan.counts,
        params: { total: params.total, active: params.active },
        notCarried,
        text,
      },
      text: flags.out === undefined ? text.trimEnd() : `Wrote ${flags.out}: ${size}`,
      warnings: importWarnings(study),
      ...nextCommand("plan", flags.out),
    };
  }
}

async function write(file: string, text: string, force: boolean): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { flag: force ? "w" : "wx" });
  } catch (error) {
    throw cannotWrite(file, error as NodeJS.ErrnoException);
  }
}
