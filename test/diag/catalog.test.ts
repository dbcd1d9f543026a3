// Every code that the sources use is explained exactly once, and every explained code is used.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { allCodes, codeTables, findCode } from "../../src/diag/catalog.js";

const root = fileURLToPath(new URL("../../src/", import.meta.url));
const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.startsWith("diag/codes"))
  .map((file) => ({ file, text: readFileSync(root + file, "utf8") }));

/** Codes written in code, not those that comments mention as LMX2xxx or as a range. */
function usedCodes(): Map<string, string> {
  const used = new Map<string, string>();
  for (const { file, text } of sources)
    for (const [code] of text.matchAll(/\bLMX\d{4}\b/g)) used.set(code, file);
  return used;
}

const ranges: Readonly<Record<string, string>> = {
  internal: "0",
  spec: "1",
  plan: "2",
  project: "2",
  run: "3",
  study: "4",
  interop: "5",
  usage: "6",
  task: "7",
};

describe("the catalogue of codes", () => {
  it("explains every code that is used", () => {
    const known = new Set<string>(allCodes().map(([code]) => code));
    for (const [code, file] of usedCodes())
      assert.ok(known.has(code), `${code} of src/${file} is not explained`);
  });

  it("has no code that nothing uses", () => {
    const used = usedCodes();
    for (const [code] of allCodes()) assert.ok(used.has(code), `${code} is explained, but not used`);
  });

  it("has each code once, in the range of its room", () => {
    const codes = allCodes().map(([code]) => code);
    assert.deepEqual(codes, [...new Set(codes)].sort());
    for (const [room, table] of Object.entries(codeTables)) {
      for (const code of Object.keys(table))
        assert.match(code, new RegExp(`^LMX${ranges[room]}\\d{3}$`), `${code} is not of ${room}`);
    }
  });

  it("explains in sentences", () => {
    for (const [code, { title, explanation, help }] of allCodes()) {
      assert.match(title, /^[^.]{3,80}$/, `title of ${code}`);
      assert.ok(explanation.length >= 40, `explanation of ${code} is too short`);
      if (help !== undefined) assert.match(help, /[.`]$/, `help of ${code}`);
    }
  });

  it("finds codes however they are written", () => {
    for (const text of ["LMX1203", "lmx1203", "1203", " LMX1203 "])
      assert.equal(findCode(text)?.[0], "LMX1203");
    for (const text of ["", "LMX", "12034", "LMX0000"]) assert.equal(findCode(text), undefined);
  });
});
