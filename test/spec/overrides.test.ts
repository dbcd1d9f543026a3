// --set PATH=VALUE: what it changes, and where its mistakes are reported.

import assert from "node:assert/strict";
import { type Diagnostic, LayermixError } from "../../src/diag/diagnostic.js";
import { parseStudy } from "../../src/spec/parse_study.js";

const study = `
model: { layers: 8, hidden: 64, vocab: 100, mix: { mamba2: 50%, mlp: 50% } }
sweep: { over: { mix.attention: [0%, 50%] }, fill: mamba2 }
proxy:
  tokens: 1M
  tasks: [ { task: recall } ]
`;

const withSet = (...set: string[]) => parseStudy(study, { file: "study.yaml", set }).spec;

function problems(...set: string[]): readonly Diagnostic[] {
  try {
    withSet(...set);
  } catch (error) {
    if (error instanceof LayermixError) return error.diagnostics;
    throw error;
  }
  return assert.fail("accepted");
}

describe("--set", () => {
  it("replaces numbers, texts, lists and mappings", () => {
    assert.equal(withSet("model.hidden=128").model.hidden, 128);
    assert.equal(withSet("name=other").name, "other");
    assert.deepEqual(withSet("project.contexts=[4K, 8K]").project!.contexts, [4096, 8192]);
    const { layout } = withSet("model.mix={ mamba2: 25%, mlp: 75% }").model;
    assert.deepEqual(layout.kind === "mix" && layout.mix, { mamba2: 0.25, mlp: 0.75 });
  });

  it("makes the mappings that a path runs through", () => {
    assert.equal(withSet("proxy.optimizer.lr=3e-4").proxy!.optimizer.learningRate, 3e-4);
  });

  it("takes indices of lists, with dots and with brackets, and appends", () => {
    assert.equal(withSet("proxy.tasks.0.weight=2").proxy!.tasks[0]!.weight, 2);
    assert.equal(withSet("proxy.tasks[0].weight=3").proxy!.tasks[0]!.weight, 3);
    assert.equal(withSet("proxy.tasks.1={ task: copy }").proxy!.tasks[1]!.task, "copy");
  });

  it("knows that the keys of sweep.over hold dots", () => {
    assert.deepEqual(withSet("sweep.over.mix.attention=[8%]").sweep!.over, [
      { path: "mix.attention", values: [0.08] },
    ]);
    assert.equal(
      withSet("sweep.over.blocks.mamba2.state=[64, 128]").sweep!.over[1]!.path,
      "blocks.mamba2.state",
    );
  });

  it("removes a key with null", () => {
    assert.equal(withSet("sweep=null").sweep, undefined);
    assert.equal(withSet("sweep=~").sweep, undefined);
  });

  it("applies in order", () => {
    assert.equal(withSet("model.hidden=128", "model.hidden=256").model.hidden, 256);
  });

  it("reports a wrong value at its place in the command line", () => {
    const [problem] = problems("model.hidden=abc");
    assert.equal(problem!.code, "LMX1103");
    assert.equal(problem!.message, 'Expected a whole number from 1 to 1048576 at model.hidden, got "abc"');
    const { file, line, column, endColumn, excerpt } = problem!.position!;
    assert.deepEqual([file, line, column, endColumn], ["command line", 1, 20, 23]);
    assert.deepEqual(excerpt!.lines, ["--set model.hidden=abc"]);
  });

  it("reports an unknown key at its place in the command line", () => {
    const [problem] = problems("model.hiden=64");
    assert.deepEqual([problem!.code, problem!.position!.column], ["LMX1101", 7]);
    assert.deepEqual(problem!.help, ["a key with a similar name exists: hidden"]);
  });

  it("judges replaced and kept values together", () => {
    const [problem] = problems("model.mix.mlp=40%");
    assert.equal(problem!.code, "LMX1203");
    assert.equal(problem!.position!.file, "study.yaml");
  });

  const malformed: [string, string][] = [
    ["model.hidden", "Expected --set PATH=VALUE, got --set model.hidden"],
    ["=5", "Expected --set PATH=VALUE, got --set =5"],
    ["model..hidden=5", "Expected --set PATH=VALUE, got --set model..hidden=5"],
    ["model.hidden=", "Expected --set PATH=VALUE, got --set model.hidden="],
    ["model.hidden.x=5", "Cannot set model.hidden.x: model.hidden is 64"],
    ["proxy.tasks.7.weight=1", "Expected an index from 0 to 1 in proxy.tasks.7.weight, got 7"],
    ["proxy.tasks.0=null", "Cannot remove an item of the list proxy.tasks"],
    ["model.__proto__.x=1", "Cannot set model.__proto__.x: the name is reserved"],
    ["constructor.prototype.x=1", "Cannot set constructor.prototype.x: the name is reserved"],
  ];
  for (const [text, message] of malformed) {
    it(`refuses ${text}`, () => {
      const found = problems(text);
      assert.deepEqual(
        found.map((problem) => [problem.code, problem.message]),
        [["LMX6007", message]],
      );
      assert.equal(found[0]!.position!.file, "command line");
    });
  }

  it("never pollutes prototypes", () => {
    problems("__proto__.polluted=1");
    problems("model.__proto__={ polluted: 1 }");
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  it("refuses YAML that would be refused in a file", () => {
    assert.equal(problems(`name=${"[".repeat(70)}`)[0]!.code, "LMX1004");
    assert.equal(problems("model.mix={ a: 1, a: 2 }")[0]!.code, "LMX1006");
  });
});
