// docs/tasks.md against the registry: a section per task, and every option named in it or in `task show`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { taskKinds } from "../../src/task/registry.js";

describe("docs/tasks.md", () => {
  const page = readFileSync(new URL("../../docs/tasks.md", import.meta.url), "utf8");

  it("has a section for every task, and no other", () => {
    const sections = [...page.matchAll(/^## ([a-z_]+)$/gm)].map(([, name]) => name);
    assert.deepEqual(
      sections,
      taskKinds.map(({ name }) => name),
    );
  });

  it("names no option that does not exist", () => {
    const options = new Set(taskKinds.flatMap((kind) => kind.options.map(({ name }) => name)));
    const fields = ["task", "weight", "sequence", "tokens"];
    const used = [...page.matchAll(/\{ (task: .*?) \}/g)].flatMap(([, body]) =>
      [...body!.replaceAll(/\[.*?\]/g, "").matchAll(/(\w+):/g)].map(([, name]) => name!),
    );
    assert.ok(used.length > 10);
    for (const name of used) assert.ok(options.has(name) || fields.includes(name), name);
  });
});
