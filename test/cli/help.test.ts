// Help for everything: each command has a summary, a description and examples; each flag and argument says what it is
// and shows a use; examples use flags that exist. Also the root help, and what a start loads.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Command, Config } from "@oclif/core";
import { Plugin } from "@oclif/core/config";
import { layermix } from "./layermix.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const shared = ["json", "quiet", "no-color"];

/** All commands of layermix, found in dist/ and not in the manifest. */
async function discover(): Promise<readonly Command.Cached[]> {
  const plugin = new Plugin({ root, type: "core", ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  return Object.values(plugin.manifest.commands);
}

function exampleTexts(command: Command.Cached): string[] {
  return (command.examples ?? []).map((example) => (typeof example === "string" ? example : example.command));
}

describe("help", () => {
  let commands: readonly Command.Cached[];
  before(async () => {
    commands = await discover();
  });

  it("finds the commands", () => {
    const ids = commands.map(({ id }) => id);
    for (const id of [
      "check",
      "doctor",
      "explain",
      "init",
      "plan",
      "preset:list",
      "preset:show",
      "schema:print",
      "sweep",
    ]) {
      assert.ok(ids.includes(id), `${id} is missing`);
    }
  });

  it("gives every command a summary, a description and an example", () => {
    for (const command of commands) {
      assert.match(command.summary ?? "", /^[A-Z].{5,78}\.$/, `summary of ${command.id}`);
      assert.ok((command.description ?? command.summary!).length > 20, `description of ${command.id}`);
      // Help wraps paragraphs to the terminal; a line break of our own would be a second one.
      assert.doesNotMatch(command.description ?? "", /[^\n]\n[^\n]/, `line break in ${command.id}`);
      assert.ok(exampleTexts(command).length > 0, `example of ${command.id}`);
    }
  });

  it("describes every flag and argument, with a use", () => {
    for (const command of commands) {
      const uses = exampleTexts(command).join("\n");
      for (const [name, flag] of Object.entries(command.flags)) {
        const description = flag.description ?? flag.summary ?? "";
        assert.ok(description.length > 10, `--${name} of ${command.id} has no description`);
        const shown = uses.includes(`--${name}`) || /\b[Ee]xample\b/.test(description);
        assert.ok(shown || shared.includes(name), `--${name} of ${command.id} has no example`);
      }
      for (const [name, arg] of Object.entries(command.args)) {
        assert.ok((arg.description ?? "").length > 5, `argument ${name} of ${command.id} has no description`);
      }
    }
  });

  it("shows examples whose flags exist", () => {
    for (const command of commands) {
      for (const example of exampleTexts(command)) {
        assert.ok(
          example.includes(`<%= config.bin %> ${command.id.replaceAll(":", " ")}`),
          `${command.id}: ${example}`,
        );
        for (const [, name] of example.matchAll(/--([a-z-]+)/g)) {
          assert.ok(
            Object.hasOwn(command.flags, name!),
            `${command.id}: --${name} in "${example}" does not exist`,
          );
        }
      }
    }
  });

  it("lists every command, examples first, for layermix alone", async () => {
    const { code, stdout } = await layermix([]);
    assert.equal(code, 0);
    assert.match(stdout, /^Design hybrid language models:.*\n\n {2}\$ layermix init study\.yaml/);
    for (const { id, hidden } of commands) {
      if (hidden) continue;
      const [topic, verb] = id.split(":");
      const alone = new RegExp(`^ {2}${id.replaceAll(":", " ")} `, "m");
      const together = new RegExp(`^ {2}${topic} \\.\\.\\. .*\\b${verb}\\b`, "m");
      assert.ok(alone.test(stdout) || (verb !== undefined && together.test(stdout)), id);
    }
    assert.ok(stdout.split("\n").length < 50, "longer than a screen");
  });

  it("is the same for --help, -h and help", async () => {
    const outputs = await Promise.all(
      [
        ["check", "--help"],
        ["check", "-h"],
        ["help", "check"],
      ].map((args) => layermix(args)),
    );
    for (const { code, stdout } of outputs) {
      assert.equal(code, 0);
      assert.equal(stdout, outputs[0]!.stdout);
    }
  });

  it("knows the same commands as the manifest, if there is one", async () => {
    const file = `${root}oclif.manifest.json`;
    if (!existsSync(file)) return;
    const listed = Object.keys(JSON.parse(readFileSync(file, "utf8")).commands).sort();
    assert.deepEqual(listed, commands.map(({ id }) => id).sort(), "npm run build:ts writes it anew");
    assert.ok(await Config.load({ root }));
  });
});

describe("start", () => {
  it("answers --version from bin/ and package.json alone, so at once", async () => {
    const alone = mkdtempSync(join(tmpdir(), "layermix-start-"));
    try {
      mkdirSync(join(alone, "bin"));
      for (const file of ["bin/run.js", "package.json"]) cpSync(join(root, file), join(alone, file));
      const { stdout } = await promisify(execFile)(process.execPath, [
        join(alone, "bin/run.js"),
        "--version",
      ]);
      assert.match(stdout, /^layermix\/\d+\.\d+\.\d+ \S+ node-v\d/);
    } finally {
      rmSync(alone, { recursive: true, force: true });
    }
  });
});
