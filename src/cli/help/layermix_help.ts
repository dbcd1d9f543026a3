// Help of the whole tool: what it is, examples first, then the commands by what they are for. Help of single commands is
// oclif's.

import { type Command, Help, type Interfaces } from "@oclif/core";
import { listNames } from "../../spec/describe.js";
import { usageError } from "../failure.js";
import { flagsBeforeDashes } from "../terminal.js";

const examples: readonly (readonly [string, string])[] = [
  ["layermix init study.yaml", "write a study to start from"],
  ["layermix plan preset:mamba2-hybrid-8b", "layers, parameters, FLOPs and memory of a model"],
  ["layermix sweep preset:quickstart", "train and rank candidates on this machine"],
];

/** Commands by job, in the order in which they are used; what is not named here comes last. */
const groups: readonly (readonly [string, readonly string[]])[] = [
  ["Author", ["init", "check", "pattern", "plan", "project"]],
  ["Sweep", ["sweep", "train", "status", "rank", "report", "watch", "fidelity", "replay"]],
  ["Exchange", ["import", "export", "verify"]],
  ["Measure", ["bench", "calibrate", "doctor"]],
  ["Reference", ["preset", "task", "hardware", "schema", "explain"]],
];

/** A topic of more commands than this takes one line, which names them. */
const commandsShownEach = 2;

export class LayermixHelp extends Help {
  /** `layermix preset` shows its commands; a script that asks for JSON is told that one of them is missing. */
  protected override async showTopicHelp(topic: Interfaces.Topic): Promise<void> {
    const words = flagsBeforeDashes(process.argv.slice(2));
    if (words.includes("--json") && !words.includes("--help") && !words.includes("-h")) {
      const commands = this.config.commands
        .map(({ id }) => id)
        .filter((id) => id.startsWith(`${topic.name}:`));
      const shown = commands.sort().map((id) => `layermix ${id.replaceAll(":", " ")}`);
      throw usageError("LMX6003", `Missing command after ${topic.name}`, [
        `there is ${listNames(shown, "and")}`,
      ]);
    }
    await super.showTopicHelp(topic);
  }

  protected override async showRootHelp(): Promise<void> {
    this.log(this.formatRoot());
  }

  override formatRoot(): string {
    const width = Math.max(...examples.map(([command]) => command.length));
    const shown = examples.map(([command, purpose]) => `  $ ${command.padEnd(width)}  ${purpose}`);
    return [
      "Design hybrid language models: declare a layer mix, see its layout and its cost, rank candidates.",
      "",
      ...shown,
      "",
      ...this.#groupedCommands(),
      "layermix COMMAND --help explains a command; docs/study-file.md explains the study file.",
    ].join("\n");
  }

  #groupedCommands(): string[] {
    const commands = this.sortedCommands.filter((command) => command.pluginName === this.config.name);
    const word = (command: Command.Loadable) => command.id.split(":")[0]!;
    const placed = new Set(groups.flatMap(([, words]) => words));
    const rest = commands.map(word).filter((first) => !placed.has(first));
    const titled = [...groups, ["Other", [...new Set(rest)]] as const].map(([title, words]) => ({
      title,
      rows: words.flatMap((name) => this.#rowsOf(commands.filter((command) => word(command) === name))),
    }));
    const width = Math.max(...titled.flatMap(({ rows }) => rows.map(([name]) => name.length)));
    return titled
      .filter(({ rows }) => rows.length > 0)
      .flatMap(({ title, rows }) => [
        title,
        ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`.trimEnd()),
        "",
      ]);
  }

  #rowsOf(commands: readonly Command.Loadable[]): (readonly [name: string, text: string])[] {
    const [topic] = commands[0]?.id.split(":") ?? [];
    if (commands.length <= commandsShownEach) {
      return commands.map((command) => [command.id.replaceAll(":", " "), this.summary(command) ?? ""]);
    }
    const verbs = commands.map(({ id }) => id.slice(topic!.length + 1));
    const purpose = this.config.topics.find(({ name }) => name === topic)?.description ?? "";
    return [[`${topic} ...`, `${purpose} ${verbs.join(", ")}`]];
  }
}
