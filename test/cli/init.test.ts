// layermix init: what it writes is valid, and it never overwrites unasked.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listPresets } from "../../src/spec/presets.js";
import { layermix } from "./layermix.js";
import { inTemporaryFolder } from "./temporary_folder.js";

describe("layermix init", () => {
  it("writes a commented study that passes check, with the lines for both kinds of editors", () =>
    inTemporaryFolder(async (cwd) => {
      const written = await layermix(["init"], { cwd });
      assert.deepEqual([written.code, written.stdout], [0, "Wrote study.yaml\n"]);
      const [first, second] = readFileSync(join(cwd, "study.yaml"), "utf8").split("\n");
      assert.match(first!, /^# yaml-language-server: \$schema=\S+study\.schema\.json$/);
      assert.match(second!, /^# \$schema: \S+study\.schema\.json$/);
      // The schema that editors are sent to exists.
      JSON.parse(readFileSync(first!.split("$schema=")[1]!, "utf8"));
      const checked = await layermix(["check", "study.yaml", "--json"], { cwd });
      assert.equal(checked.code, 0, checked.stdout);
      assert.deepEqual(JSON.parse(checked.stdout).warnings, []);
    }));

  it("refuses to overwrite without --force", () =>
    inTemporaryFolder(async (cwd) => {
      writeFileSync(join(cwd, "mine.yaml"), "precious");
      const refused = await layermix(["init", "mine.yaml"], { cwd });
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /^error\[LMX6010\]: mine\.yaml exists already$/m);
      assert.equal(readFileSync(join(cwd, "mine.yaml"), "utf8"), "precious");
      assert.equal((await layermix(["init", "mine.yaml", "--force"], { cwd })).code, 0);
      assert.match(readFileSync(join(cwd, "mine.yaml"), "utf8"), /^name: mine$/m);
    }));

  it("makes folders, and names a study after its file whatever that is called", () =>
    inTemporaryFolder(async (cwd) => {
      assert.equal((await layermix(["init", "a/b/.my study é.yaml"], { cwd })).code, 0);
      assert.equal((await layermix(["check", "a/b/.my study é.yaml"], { cwd })).code, 0);
    }));

  it("copies presets so that they stay valid where they are", () =>
    inTemporaryFolder(async (cwd) => {
      for (const { name } of listPresets().filter(({ kind }) => kind === "study")) {
        const file = `studies/${name}.yaml`;
        assert.equal((await layermix(["init", file, "--preset", name], { cwd })).code, 0);
        const checked = await layermix(["check", file], { cwd });
        assert.equal(checked.code, 0, checked.stderr);
      }
    }));
});
