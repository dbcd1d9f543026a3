// Messages as text: whole outputs, character by character.

import assert from "node:assert/strict";
import type { Diagnostic } from "../../src/diag/diagnostic.js";
import { displayWidth, printable } from "../../src/diag/display_width.js";
import { orderDiagnostics } from "../../src/diag/order.js";
import { renderDiagnostics } from "../../src/diag/render.js";

function message(lines: string[], line: number, column: number, endColumn: number): Diagnostic {
  return {
    code: "LMX1203",
    severity: "error",
    message: "Shares of model.mix must total 100%, got 107%",
    help: ["7% too much"],
    position: { file: "study.yaml", line, column, endColumn, excerpt: { firstLine: 1, lines } },
  };
}

const render = (diagnostics: Diagnostic[], color = false, limit?: number) =>
  renderDiagnostics(diagnostics, limit === undefined ? { color } : { color, limit });

describe("rendered messages", () => {
  it("look like rustc's", () => {
    assert.equal(
      render([message(["model:", "  mix: { a: 57%, b: 50% }"], 2, 8, 26)]),
      [
        "error[LMX1203]: Shares of model.mix must total 100%, got 107%",
        "  --> study.yaml:2:8",
        "   |",
        " 1 | model:",
        " 2 |   mix: { a: 57%, b: 50% }",
        "   |        ^^^^^^^^^^^^^^^^^^",
        "   = help: 7% too much",
      ].join("\n"),
    );
  });

  it("put the caret under wide letters and after tabs", () => {
    const [, , , , caret] = render([message(["\t模型: x"], 1, 6, 7)]).split("\n");
    // Tab 4, two wide letters 4, colon and space 2.
    assert.equal(caret, `   | ${" ".repeat(10)}^`);
  });

  it("clip long lines around the mark", () => {
    const text = `${"a".repeat(300)}HERE${"b".repeat(300)}`;
    const rows = render([message([text], 1, 301, 305)]).split("\n");
    assert.ok(rows.every((row) => row.length <= 110));
    const column = rows[3]!.indexOf("HERE");
    assert.ok(column > 0);
    assert.equal(rows[4]!.indexOf("^^^^"), column);
  });

  it("do not cut a pair of surrogates in two", () => {
    const shown = render([message([`${"🙂".repeat(200)}x${"🙂".repeat(200)}`], 1, 401, 402)]);
    assert.equal(shown, shown.toWellFormed());
  });

  it("show no control characters of the file, the path or the message", () => {
    const hostile: Diagnostic = {
      ...message(["a: \u001b[31mred\u0007\u202e"], 1, 4, 5),
      message: "got \u001b]0;title\u0007",
    };
    assert.doesNotMatch(render([hostile]), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it("cut the lines of a file to the terminal, and keep the mark in sight", () => {
    const line = `${"a ".repeat(60)}here${" b".repeat(60)}`;
    const diagnostic = message(["short", line], 2, 121, 125);
    for (const width of [30, 60, 80]) {
      const rows = renderDiagnostics([diagnostic], { color: false, width }).split("\n").slice(2, -1);
      for (const row of rows) assert.ok(row.length <= width, row);
      const marked = rows.find((row) => row.includes("here"))!;
      const carets = rows.find((row) => row.includes("^"))!;
      assert.equal(carets.indexOf("^"), marked.indexOf("here"));
      assert.ok(rows.some((row) => row.endsWith("| short")));
    }
  });

  it("are coloured only when asked to", () => {
    const diagnostic = message(["mix: x"], 1, 6, 7);
    assert.doesNotMatch(render([diagnostic]), /\u001b/);
    const colored = render([diagnostic], true);
    assert.match(colored, /\u001b\[31m/);
    assert.equal(colored.replace(/\u001b\[\d+m/g, ""), render([diagnostic]));
  });

  it("without a position show the message and the help", () => {
    const { position: _, ...bare } = message([], 1, 1, 1);
    assert.equal(
      render([bare]),
      "error[LMX1203]: Shares of model.mix must total 100%, got 107%\n   = help: 7% too much",
    );
  });

  it("stop at a limit and count the rest", () => {
    const { position: _, ...bare } = message([], 1, 1, 1);
    const shown = render(Array.from({ length: 25 }, () => bare));
    assert.equal(shown.split("error[").length - 1, 20);
    assert.ok(shown.endsWith("\n\nand 5 more"));
  });
});

describe("the order of messages", () => {
  it("is errors first, then file, line and column; repetitions are dropped", () => {
    const at = (line: number, column: number, severity: "error" | "warning" = "error"): Diagnostic => ({
      ...message([], line, column, column + 1),
      severity,
    });
    const ordered = orderDiagnostics([at(9, 1), at(1, 1, "warning"), at(2, 7), at(2, 3), at(9, 1)]);
    const places = ordered.map(({ severity, position }) => [severity, position!.line, position!.column]);
    assert.deepEqual(places, [
      ["error", 2, 3],
      ["error", 2, 7],
      ["error", 9, 1],
      ["warning", 1, 1],
    ]);
  });
});

describe("display width", () => {
  it("counts columns of a terminal", () => {
    const table: [string, number][] = [
      ["abc", 3],
      ["模型", 4],
      ["e\u0301", 1], // e and a combining acute
      ["🙂", 2],
      ["한국", 4],
      ["é", 1],
      ["", 0],
    ];
    for (const [text, width] of table) assert.equal(displayWidth(text), width, text);
  });

  it("replaces what could steer a terminal, and nothing else", () => {
    assert.equal(printable("a\u001b[2Jb\u009b31mc\u202ed"), "a\ufffd[2Jb\ufffd31mc\ufffdd");
    assert.equal(printable("tab\tand\nnewline, é, 模型, 🙂"), "tab\tand\nnewline, é, 模型, 🙂");
  });
});
