// layermix train, run as a process: one run, its checkpoint, and the same again after an interruption.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openSafetensors } from "../../src/interop/safetensors.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { tinyStudyText } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

const command = join(import.meta.dirname, "../../bin/run.js");

describe("layermix train", function () {
  this.timeout(60_000);
  const folder = useTemporaryFolder();
  const write = (change: (text: string) => string = (text) => text): void =>
    writeFileSync(join(folder(), "study.yaml"), change(tinyStudyText({ tokens: "6K" })));
  const train = (...args: string[]) => layermix(["train", "study.yaml", ...args], { cwd: folder() });

  it("trains the model itself on the first task, evaluates it, and keeps the checkpoint", async () => {
    write();
    const { code, stdout } = await train("--json");
    assert.equal(code, 0);
    const { data } = JSON.parse(stdout);
    assert.equal(data.folder, "layermix-studies/tiny-train");
    assert.deepEqual([data.status, data.steps, data.tokens], ["done", 24, 24 * 256]);
    assert.deepEqual(
      data.evaluations.map(({ step }: { step: number }) => step),
      [6, 12, 18, 24],
    );
    assert.deepEqual(data.metrics, data.evaluations.at(-1).metrics);
    const file = openSafetensors(join(folder(), data.checkpoint));
    try {
      assert.equal(file.metadata.trial, data.trial);
      assert.equal(file.metadata.step, "24");
      const names = [...file.tensors.keys()];
      const weights = names.filter((name) => !name.startsWith("optimizer."));
      assert.ok(weights.includes("backbone.embeddings.weight"));
      assert.deepEqual(
        names
          .filter((name) => name.startsWith("optimizer.exp_avg."))
          .map((name) => name.slice("optimizer.exp_avg.".length))
          .sort(),
        [...weights].sort(),
      );
    } finally {
      file.close();
    }
  });

  it("takes task, tokens, sequence and batch from the command line", async () => {
    write();
    const flags = [
      "--task",
      "copy",
      "--tokens",
      "4K",
      "--sequence",
      "64",
      "--batch-tokens",
      "512",
      "--seed",
      "5",
    ];
    const { code, stdout, stderr } = await train(...flags, "--out", "run");
    assert.equal(code, 0);
    assert.match(stderr, /^tiny: 1 candidate x 1 task x 1 seed = 1 trial, 4\.10 K tokens/m);
    assert.match(stderr, /^\[1\/1\] tiny copy seed 5: accuracy/m);
    assert.match(stdout, /^ {2}step 8 {2}loss \d\.\d{4} {2}accuracy 0\.\d{4}$/m);
    assert.match(stdout, /^checkpoint: run\/trials\/[0-9a-f]{16}\/checkpoint\.safetensors$/m);
  });

  it("resumes an interrupted run to the same bits", async () => {
    write((text) => text.replace("tokens: 6K", "tokens: 300K"));
    assert.equal((await train("--out", "calm")).code, 0);
    const trial = (name: string): string | undefined => {
      const trials = studyLayout.trials(join(folder(), name));
      return existsSync(trials) ? join(trials, readdirSync(trials)[0] ?? "") : undefined;
    };
    const child = spawn(process.execPath, [command, "train", "study.yaml", "--out", "rough", "--quiet"], {
      cwd: folder(),
      stdio: "ignore",
    });
    const begun = (): boolean => {
      const path = trialLayout.metrics(trial("rough") ?? "");
      return existsSync(path) && readFileSync(path, "utf8").split("\n").length > 20;
    };
    while (!begun()) await sleep(10);
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [130, null]);
    const resumed = await train("--out", "rough");
    assert.equal(resumed.code, 0);
    assert.match(resumed.stderr, /resumed at step \d+/);
    for (const path of [trialLayout.metrics, trialLayout.result]) {
      assert.equal(readFileSync(path(trial("rough")!), "utf8"), readFileSync(path(trial("calm")!), "utf8"));
    }
    const weights = (name: string): Buffer => readFileSync(trialLayout.checkpoint(trial(name)!));
    assert.ok(weights("rough").equals(weights("calm")), "the checkpoints are the same bytes");
  });

  it("ends with exit code 5 when the loss diverges", async () => {
    write((text) => text.replace("lr: 1e-3", "lr: 10, weight_decay: 100"));
    const { code, stdout } = await train("--json");
    assert.deepEqual([code, JSON.parse(stdout).error.code], [5, "LMX4019"]);
  });

  it("refuses a task the study does not have, and quantities that are none", async () => {
    write();
    const task = await train("--task", "copi", "--json");
    assert.deepEqual(
      [task.code, JSON.parse(task.stdout).error.help],
      [2, ["a task with a similar name exists: copy"]],
    );
    const tokens = await train("--tokens", "many", "--json");
    assert.deepEqual([tokens.code, JSON.parse(tokens.stdout).error.code], [2, "LMX6005"]);
  });
});
