// The rooms of src/ depend on each other in one direction, as the way through the house goes: text -> spec -> plan ->
// estimate -> ... -> cli. diag and block are shared. No cycles, no shortcuts backwards.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../src/", import.meta.url));

/** What each room may import besides itself. A new room is added here when it is built. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  diag: [],
  block: ["diag"],
  spec: ["diag", "block"],
  plan: ["diag", "block", "spec"],
  estimate: ["diag", "block", "spec", "plan"],
  project: ["diag", "block", "spec", "plan", "estimate"],
  corpus: ["diag"],
  task: ["diag", "spec", "corpus"],
  study: ["diag", "block", "spec", "plan", "estimate", "task"],
  rank: ["diag", "block", "spec", "plan", "estimate", "task", "study"],
  search: ["diag", "block", "spec", "plan", "estimate", "project", "task", "study", "rank"],
  run: ["diag", "block", "spec", "plan", "estimate", "project", "task", "study", "rank", "search"],
  interop: ["diag", "block", "spec", "plan", "study", "run"],
  report: ["diag", "block", "spec", "plan", "estimate", "project", "task", "study", "search", "rank"],
};

/** A file format that knows nothing of the rest: checkpoints (run) and exchange (interop) both read and write it. */
const sharedFiles = ["interop/safetensors.js", "interop/safetensors_header.js", "interop/strict_json.js"];

interface Import {
  readonly from: string;
  readonly to: string;
}

function imports(): Import[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const text = readFileSync(join(root, file), "utf8");
      const targets = [...text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, target]) => target!);
      return targets.map((target) => ({ from: file, to: relative(root, join(root, dirname(file), target)) }));
    })
    .filter(({ to }) => !to.startsWith(".."));
}

const roomOf = (file: string) => (file.includes("/") ? file.split("/")[0]! : "index");

describe("architecture", () => {
  const all = imports();

  it("reads the imports of every room", () => {
    const rooms = new Set(all.map(({ from }) => roomOf(from)));
    for (const room of ["spec", "plan", "estimate", "cli"])
      assert.ok(rooms.has(room), `no imports of ${room} found`);
  });

  it("lets dependencies point one way", () => {
    const wrong = all.filter(({ from, to }) => {
      if (sharedFiles.includes(to)) return false;
      const [room, target] = [roomOf(from), roomOf(to)];
      return room !== "cli" && room !== "index" && room !== target && !(allowed[room] ?? []).includes(target);
    });
    assert.deepEqual(wrong, []);
  });

  it("keeps shared files free of the rest", () => {
    for (const file of sharedFiles) {
      const own = all.filter(({ from }) => from === file.replace(/js$/, "ts")).map(({ to }) => to);
      assert.deepEqual(
        own.filter((to) => !/^(diag|interop)\//.test(to)),
        [],
        file,
      );
    }
  });

  it("has rules without a cycle", () => {
    const done = new Set<string>();
    const visit = (room: string, way: readonly string[]): void => {
      assert.ok(!way.includes(room), `cycle: ${[...way, room].join(" -> ")}`);
      if (done.has(room)) return;
      for (const next of allowed[room] ?? []) visit(next, [...way, room]);
      done.add(room);
    };
    for (const room of Object.keys(allowed)) visit(room, []);
  });

  it("keeps oclif in cli/", () => {
    for (const file of readdirSync(root, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts") || file.startsWith("cli/")) continue;
      assert.doesNotMatch(readFileSync(join(root, file), "utf8"), /"@oclif\//, `src/${file}`);
    }
  });
});
