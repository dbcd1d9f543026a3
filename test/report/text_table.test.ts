// A table leaves out what the width has no room for, and says what.

import assert from "node:assert/strict";
import { renderTable } from "../../src/report/text_table.js";

describe("a table", () => {
  const columns = [
    { title: "name", align: "left", dropOrder: 0 },
    { title: "count", align: "right", dropOrder: 1 },
    { title: "±", name: "the interval", align: "right", dropOrder: 2 },
  ] as const;
  const rows = [{ cells: ["first", "1", "0.5"] }];

  it("has every column where there is room", () => {
    assert.equal(
      renderTable(columns, rows, { width: 80, color: false }),
      "name   count    ±\n-----------------\nfirst      1  0.5",
    );
  });

  it("names those it leaves out, the least important first", () => {
    const at = (width: number) => renderTable(columns, rows, { width, color: false }).split("\n").at(-1);
    assert.equal(at(16), "no room for the interval: widen the terminal, or use --json");
    assert.equal(at(8), "no room for count, the interval: widen the terminal, or use --json");
  });
});
