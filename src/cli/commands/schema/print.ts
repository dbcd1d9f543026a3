// `layermix schema print`: the JSON Schema of study files, for editors and other tools.

import { readSchemaText } from "../../../spec/study_schema.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";

export class SchemaPrint extends LayermixCommand {
  static override summary = "Print the JSON Schema of study files.";
  static override description =
    "JSON Schema 2020-12 with a description, examples and defaults for every key. Editors use it " +
    "through the comment that layermix init writes in the first line of a study file.";
  static override examples = ["<%= config.bin %> schema print > study.schema.json"];

  protected override async execute(): Promise<CommandResult> {
    await this.parse(SchemaPrint);
    const text = readSchemaText("study");
    return { data: JSON.parse(text), text };
  }
}
