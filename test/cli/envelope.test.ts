// The contract of --json: one object on stdout, for success and for every failure; exit codes do not depend on it.
// Failures of all kinds are run both ways.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { layermix } from "./layermix.js";
import { inTemporaryFolder } from "./temporary_folder.js";

const shares = "model: { layers: 8, hidden: 64, vocab: 100, mix: { mamba2: 57%, mlp: 50% } }\n";
const placement =
  "model: { layers: 8, hidden: 64, vocab: 100, mix: { mamba2: 50%, mlp: 50% }, placement: { at: [1] } }\n";

interface Failure {
  readonly what: string;
  readonly args: readonly string[];
  readonly code: string;
  readonly exit: number;
  readonly help?: string;
  readonly message?: string;
}

const failures: readonly Failure[] = [
  {
    what: "an unknown command",
    args: ["chekc"],
    code: "LMX6001",
    exit: 2,
    help: "a command with a similar name exists: layermix check",
  },
  {
    what: "an unknown command of a topic",
    args: ["preset", "lsit"],
    code: "LMX6001",
    exit: 2,
    help: "a command with a similar name exists: layermix preset list",
  },
  {
    what: "an unknown flag",
    args: ["check", "study.yaml", "--quite"],
    code: "LMX6002",
    exit: 2,
    help: "a flag with a similar name exists: --quiet",
  },
  {
    what: "a missing argument",
    args: ["check"],
    code: "LMX6003",
    exit: 2,
    help: "run layermix check --help",
  },
  { what: "an argument too many", args: ["explain", "LMX1203", "again"], code: "LMX6004", exit: 2 },
  { what: "a flag without its value", args: ["init", "--preset"], code: "LMX6005", exit: 2 },
  {
    what: "a malformed --set",
    args: ["check", "preset:mamba2-8b", "--set", "model.hidden"],
    code: "LMX6007",
    exit: 2,
  },
  {
    what: "an unknown preset",
    args: ["check", "preset:mamba2-9b"],
    code: "LMX6008",
    exit: 2,
    help: "a preset with a similar name exists: mamba2-8b",
  },
  {
    what: "a number out of range",
    args: ["pattern", "--layers", "0", "--mix", "mamba2"],
    code: "LMX6005",
    exit: 2,
    message: 'Expected --layers to be an integer greater than or equal to 1, got "0"',
  },
  {
    what: "missing flags",
    args: ["pattern", "--quiet"],
    code: "LMX6003",
    exit: 2,
    message: "Missing flags --layers, --mix",
  },
  {
    what: "a device that is none",
    args: ["sweep", "shares.yaml", "--device", "gpu"],
    code: "LMX6005",
    exit: 2,
    message: "Expected --device to be auto, cpu or cuda:N, got gpu",
  },
  { what: "an unknown code", args: ["explain", "LMX120"], code: "LMX6009", exit: 2 },
  {
    what: "a missing file",
    args: ["check", "shars.yaml"],
    code: "LMX1001",
    exit: 3,
    help: "a file with a similar name exists: shares.yaml",
  },
  { what: "a folder as file", args: ["check", "."], code: "LMX1001", exit: 3 },
  { what: "an invalid file", args: ["check", "shares.yaml"], code: "LMX1203", exit: 3 },
  { what: "an infeasible plan", args: ["check", "placement.yaml"], code: "LMX2010", exit: 4 },
];

describe("the JSON envelope", () => {
  for (const { what, args, code, exit, help, message } of failures) {
    it(`reports ${what} as ${code}, exit ${exit}, with and without --json`, () =>
      inTemporaryFolder(async (cwd) => {
        writeFileSync(join(cwd, "shares.yaml"), shares);
        writeFileSync(join(cwd, "placement.yaml"), placement);
        // A value that is missing at the end stays missing: the flag goes in front of the command's own.
        const [command, ...rest] = args;
        const [text, json] = await Promise.all([
          layermix(args, { cwd }),
          layermix([command!, ...(rest[0] === "lsit" ? [rest[0], "--json"] : ["--json", ...rest])], { cwd }),
        ]);
        assert.deepEqual([text.code, json.code], [exit, exit]);
        assert.equal(text.stdout, "");
        assert.equal(text.stderr.split("\n")[0]!.startsWith(`error[${code}]: `), true, text.stderr);
        assert.equal(json.stderr, "");
        assert.equal(json.stdout.trimEnd().split("\n").length, 1);
        const envelope = JSON.parse(json.stdout);
        assert.deepEqual(Object.keys(envelope), ["schema", "command", "ok", "error", "errors"]);
        assert.equal(envelope.schema, "layermix/1");
        assert.equal(envelope.ok, false);
        assert.equal(envelope.error.code, code);
        assert.deepEqual(envelope.errors[0], envelope.error);
        if (message !== undefined) assert.equal(envelope.error.message, message);
        if (help !== undefined) assert.deepEqual(envelope.error.help, [help]);
      }));
  }

  it("is what a script gets that names no command", async () => {
    const answers = await Promise.all([["--json"], ["preset", "--json"]].map((args) => layermix(args)));
    const errors = answers.map(({ code, stdout }) => [code, JSON.parse(stdout).error.message]);
    assert.deepEqual(errors, [
      [2, "Expected a command, got --json"],
      [2, "Missing command after preset"],
    ]);
    assert.equal((await layermix(["preset"])).code, 0);
  });

  it("carries positions as plain numbers, without the code frame", () =>
    inTemporaryFolder(async (cwd) => {
      writeFileSync(join(cwd, "shares.yaml"), shares);
      const { stdout } = await layermix(["check", "shares.yaml", "--json"], { cwd });
      assert.deepEqual(JSON.parse(stdout), {
        schema: "layermix/1",
        command: "check",
        ok: false,
        error: {
          code: "LMX1203",
          message: "Shares of model.mix must total 100%, got 107%",
          help: ["7% too much: lower one of mamba2 or mlp"],
          path: "model.mix",
          file: "shares.yaml",
          line: 1,
          column: 50,
          endColumn: 75,
        },
        errors: [JSON.parse(stdout).error],
      });
    }));

  it("names the command as it is typed, and keeps warnings beside the data", () =>
    inTemporaryFolder(async (cwd) => {
      const unused = 'model: { hidden: 64, vocab: 100, pattern: "M", blocks: { mlp: { width: 64 } } }\n';
      writeFileSync(join(cwd, "unused.yaml"), unused);
      const { stdout, code } = await layermix(["check", "unused.yaml", "--json"], { cwd });
      assert.equal(code, 0);
      const envelope = JSON.parse(stdout);
      assert.deepEqual(Object.keys(envelope), ["schema", "command", "ok", "data", "warnings"]);
      assert.equal(envelope.warnings[0].code, "LMX1209");
      assert.equal(JSON.parse((await layermix(["preset", "list", "--json"])).stdout).command, "preset list");
    }));

  it("keeps data on stdout and the next command on stderr, which --quiet silences", async () => {
    const loud = await layermix(["check", "preset:mamba2-8b"]);
    assert.equal(loud.stdout, "ok  preset:mamba2-8b: 56 mamba2\n");
    assert.equal(loud.stderr, "Next: layermix plan preset:mamba2-8b\n");
    const quiet = await layermix(["check", "preset:mamba2-8b", "--quiet"]);
    assert.deepEqual([quiet.stdout, quiet.stderr], [loud.stdout, ""]);
  });

  it("shows a stack of an internal error only under DEBUG", async () => {
    // A folder without a working directory is nothing a command can foresee.
    const { asLayermixError } = await import("../../src/cli/failure.js");
    const context = { command: "check", argv: [], flagNames: [] };
    const error = asLayermixError(new RangeError("Maximum call stack size exceeded\nmore"), context);
    assert.equal(error.exitCode, 1);
    assert.deepEqual(error.diagnostics, [
      {
        code: "LMX0001",
        severity: "error",
        message: "Internal error: Maximum call stack size exceeded",
        help: ["this is a bug in layermix; DEBUG=layermix shows the stack"],
      },
    ]);
  });

  it("does not mind a reader that goes away", async () => {
    const { code, stderr } = await layermix(["schema", "print"], { closeStdout: true });
    assert.deepEqual([code, stderr], [0, ""]);
  });
});
