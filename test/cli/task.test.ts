// layermix task list and task show, run as processes.
import assert from "node:assert/strict";
import { layermix } from "./layermix.js";

describe("layermix task", () => {
  it("lists every task with what it is measured by", async () => {
    const { code, stdout } = await layermix(["task", "list"]);
    assert.equal(code, 0);
    assert.deepEqual(
      stdout
        .split("\n")
        .slice(2, -1)
        .map((line) => line.split(/\s{2,}/).slice(0, 2)),
      [
        ["text", "bits/byte, lower is better"],
        ["recall", "accuracy, higher is better"],
        ["phonebook", "exact match, higher is better"],
        ["copy", "accuracy, higher is better"],
        ["context_recall", "accuracy, higher is better"],
        ["fuzzy_recall", "accuracy, higher is better"],
        ["noisy_recall", "accuracy, higher is better"],
        ["compression", "accuracy, higher is better"],
        ["memorization", "accuracy, higher is better"],
        ["listops", "accuracy, higher is better"],
      ],
    );
    const json = JSON.parse((await layermix(["task", "list", "--json"])).stdout);
    assert.deepEqual(
      json.data.tasks.map((task: { name: string }) => task.name),
      [
        "text",
        "recall",
        "phonebook",
        "copy",
        "context_recall",
        "fuzzy_recall",
        "noisy_recall",
        "compression",
        "memorization",
        "listops",
      ],
    );
  });

  it("shows a task within the width of the page: measure, options, source, example, study file", async () => {
    const { code, stdout } = await layermix(["task", "show", "phonebook"]);
    assert.equal(code, 0);
    assert.match(stdout, /^phonebook: phone book lookup, standard and reversed\n/);
    assert.match(stdout, /\nentries +16 +an integer from 1 to 1024\n/);
    assert.match(stdout, /\n- Jelassi et al\./);
    assert.match(stdout, /\n {2}[A-Z][a-z]+ [A-Z][a-z]+: \d{7}\n/);
    assert.match(stdout, /\n {6}- \{ task: phonebook, entries: 16, digits: 10, weight: 1 \}\n$/);
    assert.ok(stdout.split("\n").every((line) => line.length <= 100));
  });

  it("gives options and defaults as data", async () => {
    const { stdout } = await layermix(["task", "show", "recall", "--json"]);
    const { data } = JSON.parse(stdout);
    assert.deepEqual(
      data.options.map((option: { name: string; default: unknown }) => [option.name, option.default]),
      [
        ["pairs", 16],
        ["vocab", 256],
        ["power_a", 0.01],
        ["evaluation_tokens", 65_536],
      ],
    );
    assert.equal(data.example.length, 1);
  });

  it("shows every task with an example, except where the example is the user's own text", async () => {
    for (const name of [
      "context_recall",
      "fuzzy_recall",
      "noisy_recall",
      "compression",
      "memorization",
      "listops",
    ]) {
      const { code, stdout } = await layermix(["task", "show", name]);
      assert.equal(code, 0, name);
      assert.match(stdout, /\nExample\n {2}\S/);
      assert.match(stdout, / -> /);
    }
  });

  it("names the nearest task for a wrong name", async () => {
    const { code, stderr } = await layermix(["task", "show", "phonebok"]);
    assert.equal(code, 2);
    assert.match(stderr, /help: a task with a similar name exists: phonebook/);
  });
});
