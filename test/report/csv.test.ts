import assert from "node:assert/strict";
import fc from "fast-check";
import { csvText } from "../../src/report/csv.js";

/** Reads RFC 4180 text back, cell by cell. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at++) {
        cell += text[at];
        if (text[at] === '"') at += 1;
      }
      at += 1;
    } else {
      while (text[at] !== "," && text[at] !== "\n") cell += text[at++];
    }
    row.push(cell);
    if (text[at] === "\n") {
      rows.push(row);
      row = [];
    }
    at += 1;
  }
  return rows;
}

describe("csvText", () => {
  it("quotes only where it must", () => {
    assert.equal(
      csvText([["plain", 'say "hi"', "a,b", "two\nlines", 1.5, null]]),
      'plain,"say ""hi""","a,b","two\nlines",1.5,\n',
    );
  });

  it("disarms text that a spreadsheet would run", () => {
    assert.equal(csvText([["=1+1", "+1", "-M-*-", "@cmd", "\tx", -1]]), "'=1+1,'+1,'-M-*-,'@cmd,'\tx,-1\n");
  });

  it("can be read back, and no cell starts a formula, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string(), fc.string({ unit: "grapheme" })), { minLength: 1 }),
        (rows) => {
          const back = parse(csvText(rows));
          assert.equal(back.length, rows.length);
          rows.forEach((row, i) => {
            row.forEach((cell, j) => {
              const read = back[i]![j]!;
              assert.ok(read === cell || read === `'${cell}`);
              assert.ok(!/^[=+\-@\t\r\n]/.test(read));
            });
          });
        },
      ),
    );
  });
});
