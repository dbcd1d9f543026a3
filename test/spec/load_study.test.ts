// Where studies come from: files, presets, stdin; and what happens when there is nothing to read, or far too much.

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { type LoadOptions, loadStudy } from "../../src/spec/load_study.js";
import { locating } from "../../src/spec/locate_error.js";
import { inTemporaryFolder } from "../cli/temporary_folder.js";

const study = 'model: { hidden: 64, vocab: 100, pattern: "M-M*" }\n';

async function refusal(source: string, options?: LoadOptions): Promise<LayermixError> {
  try {
    await loadStudy(source, options);
  } catch (error) {
    if (error instanceof LayermixError) return error;
    throw error;
  }
  return assert.fail("accepted");
}

describe("loading a study", () => {
  it("reads a file, and names the study and its folder after it", () =>
    inTemporaryFolder(async (folder) => {
      const file = join(folder, "my study.yaml");
      writeFileSync(file, study);
      const { spec } = await loadStudy(file);
      assert.deepEqual([spec.name, spec.file, spec.folder], ["my-study", file, folder]);
    }));

  it("reads a preset, whose relative paths start from its own folder", async () => {
    const { spec } = await loadStudy("preset:attention-share");
    assert.deepEqual([spec.name, spec.file], ["attention-share", "preset:attention-share"]);
    assert.ok(existsSync(join(spec.folder, "attention-share.yaml")));
  });

  it("reads stdin", async () => {
    async function* chunks() {
      yield Buffer.from(study.slice(0, 10));
      yield Buffer.from(study.slice(10));
    }
    const { spec } = await loadStudy("-", { stdin: chunks() });
    assert.deepEqual([spec.name, spec.file, spec.folder], ["study", "<stdin>", process.cwd()]);
  });

  it("stops reading an endless stdin", async () => {
    let chunks = 0;
    async function* endless() {
      for (;;) {
        chunks++;
        yield Buffer.alloc(64 * 1024, "#");
      }
    }
    const error = await refusal("-", { stdin: endless() });
    assert.equal(error.diagnostics[0]!.code, "LMX1002");
    assert.ok(chunks < 20);
  });

  it("stops reading an endless file", async function () {
    if (!existsSync("/dev/zero")) this.skip();
    assert.equal((await refusal("/dev/zero")).diagnostics[0]!.code, "LMX1002");
  });

  it("says why a file cannot be read, and which one is near", () =>
    inTemporaryFolder(async (folder) => {
      writeFileSync(join(folder, "study.yaml"), study);
      const missing = await refusal(join(folder, "studdy.yaml"));
      assert.deepEqual(missing.diagnostics, [
        {
          code: "LMX1001",
          severity: "error",
          message: `Cannot read ${folder}/studdy.yaml: there is no such file`,
          help: ["a file with a similar name exists: study.yaml"],
        },
      ]);
      assert.equal(missing.exitCode, 3);
      assert.match((await refusal(folder)).message, /it is a folder$/);
    }));

  it("does not let a preset's name leave its folder", async () => {
    for (const name of [
      "preset:../corpus/README",
      "preset:/etc/passwd",
      "preset:",
      "preset:mamba2-8b.yaml",
    ]) {
      const error = await refusal(name);
      assert.deepEqual([error.diagnostics[0]!.code, error.exitCode], ["LMX6008", 2]);
    }
  });

  it("gives later rooms the place of what they name by its path", async () => {
    const { document } = await loadStudy("preset:attention-share");
    const fail = (path: string) => () => {
      throw new LayermixError({ code: "LMX2011", severity: "error", message: "no", help: [], path }, 4);
    };
    for (const [path, text] of [
      ["model.mix.attention", "7%"],
      ["proxy.tasks[1].pairs", "32"],
      ["proxy.tasks[1].nothing", "- { task: recall"], // not there: the mapping around it
      ["model.blocks.mlp.width", "16384"],
    ] as const) {
      try {
        locating(document, fail(path));
        assert.fail("did not throw");
      } catch (error) {
        assert.ok(error instanceof LayermixError);
        assert.equal(error.exitCode, 4);
        const { line, column, excerpt } = error.diagnostics[0]!.position!;
        const shown = excerpt!.lines[line - excerpt!.firstLine]!;
        assert.ok(
          shown.slice(column - 1).startsWith(text.replace("- ", "")),
          `${path}: ${shown.slice(column - 1)}`,
        );
      }
    }
  });
});
