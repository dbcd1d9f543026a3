import { Args } from "@oclif/core";
import { exitCodes, LayermixError } from "../../../diag/diagnostic.js";
import { similarName } from "../../../diag/suggest.js";
import { renderTask, taskData } from "../../../report/task_text.js";
import { taskByName, taskKinds } from "../../../task/registry.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";

/** `layermix task show NAME`: what a task measures, its options, its source and an example row. */
export default class TaskShow extends LayermixCommand {
  static override summary = "Show what a task measures, its options and an example.";
  static override examples = [
    "<%= config.bin %> task show recall",
    "<%= config.bin %> task show phonebook --json",
  ];

  static override args = {
    name: Args.string({ description: "Name of the task. Example: recall", required: true }),
  };

  protected override async execute(): Promise<CommandResult> {
    const { args } = await this.parse(TaskShow);
    const kind = taskByName(args.name);
    if (kind === undefined) {
      const names = taskKinds.map((known) => known.name);
      const near = similarName("task", args.name, names);
      const help = [...(near === undefined ? [] : [near]), `known tasks: ${names.join(", ")}`];
      const message = `Expected the name of a task, got ${args.name}`;
      throw new LayermixError({ code: "LMX7001", severity: "error", message, help }, exitCodes.usage);
    }
    const width = process.stdout.columns ?? 100;
    return { data: taskData(kind), text: renderTask(kind, width) };
  }
}
