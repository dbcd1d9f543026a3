// `layermix init [FILE]`: a commented study file to start from.

import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, extname } from "node:path";
import { Args, Flags } from "@oclif/core";
import { similarName } from "../../diag/suggest.js";
import { findPreset, listPresets } from "../../spec/presets.js";
import { type CommandResult, LayermixCommand } from "../base_command.js";
import { usageError } from "../failure.js";
import { nextCommand } from "../next_command.js";
import { newStudyText, presetText } from "../study_template.js";
import { cannotWrite } from "../write_error.js";

export class Init extends LayermixCommand {
  static override summary = "Write a study file to start from.";
  static override description =
    "Writes a commented study file, or a copy of a preset, with the first lines by which editors " +
    "complete and check it. An existing file is kept unless --force is given.";
  static override examples = [
    "<%= config.bin %> init",
    "<%= config.bin %> init mine.yaml --preset mamba2-hybrid-8b",
    "<%= config.bin %> init study.yaml --force",
  ];
  static override args = {
    file: Args.string({
      description: "File to write, - for stdout. Example: study.yaml",
      default: "study.yaml",
    }),
  };
  static override flags = {
    preset: Flags.string({
      description: "Start from this preset. Example: --preset attention-share",
      helpValue: "NAME",
    }),
    force: Flags.boolean({ description: "Overwrite the file if it exists. Example: --force" }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args, flags } = await this.parse(Init);
    const text = this.#text(args.file, flags.preset);
    if (args.file === "-") return { data: { file: null, text }, text: text.trimEnd() };
    try {
      await mkdir(dirname(args.file), { recursive: true });
      await writeFile(args.file, text, { flag: flags.force ? "w" : "wx" });
    } catch (error) {
      throw cannotWrite(args.file, error as NodeJS.ErrnoException);
    }
    return {
      data: { file: args.file, text },
      text: `Wrote ${args.file}`,
      ...nextCommand("check", args.file),
    };
  }

  #text(file: string, presetName: string | undefined): string {
    if (presetName === undefined) {
      const name = basename(file, extname(file))
        .replace(/[^A-Za-z0-9._-]/g, "-")
        .replace(/^[^A-Za-z0-9]+/, "");
      return newStudyText(file, name.slice(0, 64) || "study");
    }
    const name = presetName.replace(/^preset:/, "");
    const preset = findPreset(name);
    if (preset !== undefined) return presetText(readFileSync(preset.file, "utf8"), file);
    const near = similarName(
      "preset",
      name,
      listPresets().map((known) => known.name),
    );
    throw usageError("LMX6008", `Unknown preset ${name}`, [near ?? "layermix preset list shows all presets"]);
  }
}
