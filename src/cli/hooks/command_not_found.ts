// Runs when no command has the given name: a usage error with the nearest command, never a prompt.

import type { Hook } from "@oclif/core";
import { nearestName } from "../../diag/suggest.js";
import { usageError } from "../failure.js";

export const commandNotFound: Hook<"command_not_found"> = async (options) => {
  const visible = options.config.commands.filter((command) => !command.hidden).map((command) => command.id);
  const wanted = options.id.split(":").filter((word) => !word.startsWith("-"));
  // A topic's commands are spelt "preset list"; a single misspelt word is compared with whole and first words.
  const names = [...new Set(visible.flatMap((id) => [id.replaceAll(":", " "), id.split(":")[0]!]))];
  const given = wanted.join(" ");
  if (given === "") {
    const message = `Expected a command, got ${options.id.replaceAll(":", " ")}`;
    throw usageError("LMX6001", message, ["layermix --help lists the commands"]);
  }
  const near = nearestName(given, names) ?? nearestName(wanted[0] ?? "", names);
  const help =
    near === undefined
      ? "layermix --help lists the commands"
      : `a command with a similar name exists: layermix ${near}`;
  throw usageError("LMX6001", `Unknown command ${given}`, [help]);
};
