// The commands that layermix suggests can be pasted into a shell.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { commandLine, goOnWith, nextCommand } from "../../src/cli/next_command.js";

describe("suggested commands", () => {
  it("give a shell the words they are made of", () => {
    const words = [
      "plan",
      "a b.yaml",
      "--set",
      "proxy.optimizer={lr: 1e-3, warmup: 3%}",
      "it's",
      "$HOME",
      "",
    ];
    const seen = execFileSync("sh", ["-c", `printf '%s\\n' ${commandLine(words)}`], { encoding: "utf8" });
    assert.deepEqual(seen.split("\n").slice(0, -1), words);
  });

  it("say that a study from stdin has to be given again", () => {
    assert.equal(
      goOnWith("sweep", ["s.yaml", "--out", "o"]),
      "Run the same command again to go on: layermix sweep s.yaml --out o",
    );
    assert.equal(
      goOnWith("sweep", ["-", "--set", "model.layers=8"]),
      "Run the same command again with the same input to go on: layermix sweep - --set model.layers=8",
    );
    assert.deepEqual(nextCommand("plan", "-"), {});
  });
});
