import assert from "node:assert/strict";
import { allCodes } from "../../src/diag/catalog.js";
import { reflow, wrap } from "../../src/report/wrap.js";

describe("text for a width", () => {
  it("is broken at spaces, later lines indented", () => {
    assert.deepEqual(wrap("note: one two three", 11, "  "), ["note: one", "  two three"]);
    assert.deepEqual(wrap("unbreakable-word a", 5), ["unbreakable-word", "a"]);
  });

  it("joins the lines of a paragraph first, and keeps what is laid out", () => {
    const text = "A long\nparagraph here.\n\n    model:\n      layers: 56 and more\n\nhelp: end";
    assert.equal(
      reflow(text, 16),
      "A long paragraph\nhere.\n\n    model:\n      layers: 56 and more\n\nhelp: end",
    );
  });

  it("loses no word of any explanation, and keeps to the width", () => {
    const words = (text: string) => text.split(/\s+/);
    for (const [code, { explanation }] of allCodes()) {
      const shown = reflow(explanation, 60);
      assert.deepEqual(words(shown), words(explanation), code);
      for (const line of shown.split("\n")) assert.ok(line.startsWith(" ") || line.length <= 60, line);
    }
  });
});
