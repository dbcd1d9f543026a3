// Every mistake that people are known to make, with the whole text they see. test/fixtures/bad_studies holds pairs:
// NAME.yaml is the file, NAME.txt what layermix answers. UPDATE_MESSAGES=1 rewrites the answers, to be read in the diff.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { exitCodes, LayermixError } from "../../src/diag/diagnostic.js";
import { renderDiagnostics } from "../../src/diag/render.js";
import { parseStudy } from "../../src/spec/parse_study.js";

const folder = new URL("../fixtures/bad_studies/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => basename(file, ".yaml"));

function answer(name: string): string {
  const bytes = readFileSync(new URL(`${name}.yaml`, folder));
  try {
    parseStudy(bytes, { file: `${name}.yaml`, presets: ["transformer-8b", "mamba2-8b"] });
  } catch (error) {
    assert.ok(error instanceof LayermixError, String(error));
    assert.equal(error.exitCode, exitCodes.invalidFile);
    for (const diagnostic of error.diagnostics)
      assert.ok(diagnostic.position, `${diagnostic.code} has no position`);
    return `${renderDiagnostics(error.diagnostics, { color: false })}\n`;
  }
  return assert.fail(`${name}.yaml was accepted`);
}

describe("messages about bad studies", () => {
  for (const name of names) {
    it(name.replaceAll("_", " "), () => {
      const expected = new URL(`${name}.txt`, folder);
      if (process.env.UPDATE_MESSAGES) writeFileSync(expected, answer(name));
      assert.ok(existsSync(expected), `${name}.txt is missing`);
      assert.equal(answer(name), readFileSync(expected, "utf8"));
    });
  }
});
