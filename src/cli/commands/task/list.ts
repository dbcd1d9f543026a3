import { renderTable } from "../../../report/text_table.js";
import { taskKinds } from "../../../task/registry.js";
import { type CommandResult, LayermixCommand } from "../../base_command.js";

/** `layermix task list`: every task a proxy can be trained on. */
export default class TaskList extends LayermixCommand {
  static override summary = "List the tasks that proxies are trained and measured on.";
  static override examples = ["<%= config.bin %> task list", "<%= config.bin %> task list --json"];

  protected override async execute(): Promise<CommandResult> {
    await this.parse(TaskList);
    const columns = ["task", "measured by", "title"].map((title) => ({
      title,
      align: "left" as const,
      dropOrder: 0,
    }));
    const rows = taskKinds.map(({ name, primary, title }) => ({
      cells: [name, `${primary.title}, ${primary.direction} is better`, title],
    }));
    const text = renderTable(columns, rows, { width: process.stdout.columns ?? 100, color: this.color });
    const data = {
      tasks: taskKinds.map(({ name, title, primary, measures }) => ({ name, title, primary, measures })),
    };
    return { data, text, next: `layermix task show ${taskKinds[0]!.name}` };
  }
}
