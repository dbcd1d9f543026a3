// layermix sweep, run as a process: output, exit codes, signals, and a disk that fills up.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readClaim } from "../../src/study/claim.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { childrenOf } from "../reliability/processes.js";
import { tinyStudyText } from "../run/tiny_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

const command = join(import.meta.dirname, "../../bin/run.js");

describe("layermix sweep", function () {
  this.timeout(120_000);
  const folder = useTemporaryFolder();
  const write = (tokens: string, change: (text: string) => string = (text) => text): void =>
    writeFileSync(join(folder(), "study.yaml"), change(tinyStudyText({ tokens })));
  const sweep = (...args: string[]) => layermix(["sweep", "study.yaml", ...args], { cwd: folder() });
  const bytesOf = (name: string): string => readFileSync(studyLayout.ranking(join(folder(), name)), "utf8");

  /** Starts a sweep and leaves it running; stderr is kept. */
  function start(...args: string[]): ChildProcess & { pid: number; said: () => string } {
    const child = spawn(process.execPath, [command, "sweep", "study.yaml", ...args], { cwd: folder() });
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += chunk;
    });
    child.stdout.resume();
    return Object.assign(child, { said: () => text }) as never;
  }
  const trialsOf = (name: string): string[] => {
    const trials = studyLayout.trials(join(folder(), name));
    return existsSync(trials) ? readdirSync(trials).map((id) => join(trials, id)) : [];
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await sleep(20);
  };
  const training = (name: string) => () =>
    trialsOf(name).some(
      (trial) =>
        existsSync(trialLayout.metrics(trial)) && readFileSync(trialLayout.metrics(trial)).length > 0,
    );

  it("ranks the candidates, and keeps everything for the same command again", async () => {
    write("6K");
    const first = await sweep();
    assert.equal(first.code, 0, first.stderr);
    const lines = first.stderr.split("\n");
    assert.equal(
      lines[0]?.replace(/about .* in/, "about FLOPs in"),
      "tiny: 3 candidates x 2 tasks x 2 seeds = 12 trials, 73.7 K tokens, about FLOPs in layermix-studies/tiny",
    );
    const progress = lines.filter((line) =>
      /^\[\d+\/12\] attention=\d+% (recall|copy) seed [01]: accuracy 0\.\d{4}, loss \d\.\d{4}$/.test(line),
    );
    assert.equal(progress.length, 12);
    assert.match(first.stdout, /rank\s+candidate\s+score/);
    assert.equal(lines.at(-2), "Next: layermix report layermix-studies/tiny");
    const ranking = bytesOf("layermix-studies/tiny");

    const again = await sweep("--json");
    assert.equal(again.code, 0);
    assert.equal(again.stderr, "");
    const { ok, command: name, data } = JSON.parse(again.stdout);
    assert.deepEqual([ok, name], [true, "sweep"]);
    assert.deepEqual(data.trials, { done: 12, diverged: 0, failed: 0, total: 12, pruned: 0 });
    assert.equal(data.ranking.length, 3);
    for (const entry of data.ranking) {
      assert.ok(entry.tokensPerSecond > 0);
      assert.equal(entry.state, "complete");
      assert.deepEqual(Object.keys(entry.tasks), ["recall", "copy"]);
    }
    assert.equal(bytesOf("layermix-studies/tiny"), ranking);
    assert.match((await sweep()).stderr, /^12 finished trials were there already$/m);
    assert.equal(JSON.parse((await sweep("--dry-run", "--json")).stdout).data.ended, 12);
  });

  it("gives the same ranking bytes with one worker as with three", async () => {
    write("6K");
    assert.equal((await sweep("--workers", "1", "--out", "one")).code, 0);
    assert.equal((await sweep("--workers", "3", "--out", "three")).code, 0);
    assert.equal(bytesOf("one"), bytesOf("three"));
  });

  it("after an edit runs only what is new", async () => {
    write("6K", (text) => text.replace("[0%, 25%, 50%]", "[0%, 25%]"));
    assert.equal((await sweep("--out", "out")).code, 0);
    write("6K");
    const { code, stderr } = await sweep("--out", "out");
    assert.equal(code, 0);
    assert.match(stderr, /^8 finished trials were there already$/m);
    assert.equal(stderr.match(/^\[\d+\/12\] attention=50% /gm)?.length, 4);
    assert.equal(stderr.match(/^\[\d+\/12\] attention=(0|25)% /gm), null);
  });

  it("writes a study.yaml that is the same study from anywhere", async () => {
    mkdirSync(join(folder(), "texts"));
    writeFileSync(
      join(folder(), "texts/a.txt"),
      "The quick brown fox jumps over the lazy dog.\n".repeat(200),
    );
    write("1K", (text) =>
      text
        .replace("name: tiny\n", "")
        .replace(
          /tasks:[\s\S]*?(?=\n\S|$)/,
          "tasks: [{ task: text, files: [texts/a.txt], evaluation_tokens: 1K }]",
        ),
    );
    const ran = await sweep("--set", "proxy.optimizer={lr: 1e-3}", "--seed", "3", "--out", "here", "--quiet");
    assert.equal(ran.code, 0, ran.stderr);
    mkdirSync(join(folder(), "else where"));
    cpSync(join(folder(), "here/study.yaml"), join(folder(), "else where/copy.yaml"));
    const dry = ["sweep", "else where/copy.yaml", "--seed", "3", "--dry-run", "--json"];
    const { code, stdout } = await layermix(dry, { cwd: folder() });
    assert.equal(code, 0, stdout);
    const { data } = JSON.parse(stdout);
    assert.equal(data.name, "study");
    const ids = data.trials.map(({ id }: { id: string }) => id);
    assert.deepEqual(new Set(ids), new Set(trialsOf("here").map((trial) => basename(trial))));
  });

  it("shows the trials and touches nothing with --dry-run", async () => {
    write("6K");
    const { code, stdout } = await sweep("--dry-run");
    assert.equal(code, 0);
    assert.equal(stdout.match(/^[0-9a-f]{16} {2}attention=/gm)?.length, 12);
    assert.deepEqual(readdirSync(folder()), ["study.yaml"]);
    const { data } = JSON.parse((await sweep("--dry-run", "--json")).stdout);
    assert.equal(data.trials.length, 12);
    assert.equal(data.size.tokens, 12 * 24 * 256);
    assert.equal(data.ended, 0);
  });

  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    it(`saves and says how to go on after ${signal}, with exit code ${code}`, async () => {
      write("300K");
      const child = start("--out", "out");
      await until(training("out"));
      child.kill(signal);
      assert.deepEqual(await once(child, "exit"), [code, null]);
      assert.match(child.said(), /^error\[LMX4014\]: Interrupted: \d+ of 12 trials have ended/m);
      assert.match(child.said(), /Run the same command again to go on: layermix sweep study\.yaml --out out/);
      const begun = trialsOf("out").filter((trial) => readClaim(trialLayout.claims(trial)) !== undefined);
      assert.ok(begun.length > 0);
      for (const trial of begun) assert.equal(readClaim(trialLayout.claims(trial))?.ended, true);
      assert.ok(begun.some((trial) => existsSync(trialLayout.checkpoint(trial))));
    });
  }

  it("leaves after the second Ctrl-C without waiting for its workers", async () => {
    write("300K");
    const child = start("--out", "out");
    await until(training("out"));
    const workers = childrenOf(child.pid);
    assert.ok(workers.length > 0);
    // A worker that does not answer: the first Ctrl-C alone would wait for it.
    for (const pid of workers) process.kill(pid, "SIGSTOP");
    child.kill("SIGINT");
    await until(() => child.said().includes("Stopping"));
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [130, null]);
    await until(() => workers.every((pid) => !existsSync(`/proc/${pid}`)));
  });

  it("leaves no worker behind when it is killed: they save and go", async () => {
    write("300K");
    const child = start("--out", "out");
    await until(training("out"));
    const workers = childrenOf(child.pid);
    child.kill("SIGKILL");
    await once(child, "exit");
    await until(() => workers.every((pid) => !existsSync(`/proc/${pid}`)));
    for (const trial of trialsOf("out")) {
      const claim = readClaim(trialLayout.claims(trial));
      assert.ok(claim === undefined || claim.ended);
    }
  });

  it("ends with exit code 5 and the ranking of what is there when a trial keeps crashing", async () => {
    write("20K");
    const child = start("--out", "out");
    let crashes = 0;
    while (child.exitCode === null) {
      const bad = trialsOf("out")[0];
      const claim = bad === undefined ? undefined : readClaim(trialLayout.claims(bad));
      if (claim?.record !== undefined && !claim.ended && claim.generation > crashes) {
        process.kill(claim.record.owner.pid, "SIGSEGV");
        crashes = claim.generation;
      }
      await sleep(5);
    }
    assert.equal(child.exitCode, 5, child.said());
    assert.equal(crashes, 3);
    assert.match(child.said(), /^error\[LMX4015\]: 1 of 12 trials failed; the ranking shows what is there$/m);
    const json = await sweep("--out", "out", "--json");
    assert.equal(json.code, 5);
    const { ok, error, data } = JSON.parse(json.stdout);
    assert.deepEqual([ok, error.code], [false, "LMX4015"]);
    assert.deepEqual(data.trials, { done: 11, diverged: 0, failed: 1, total: 12, pruned: 0 });
    const retried = await sweep("--out", "out", "--retry-failed", "--json");
    assert.equal(retried.code, 0);
    assert.equal(JSON.parse(retried.stdout).data.trials.done, 12);
  });

  it("lists a candidate whose trials diverged last, without failing", async () => {
    write("6K", (text) => text.replace("lr: 1e-3", "lr: 10, weight_decay: 100"));
    const { code, stdout } = await sweep("--json");
    assert.equal(code, 0);
    const { data } = JSON.parse(stdout);
    assert.equal(data.trials.diverged, 12);
    assert.equal(data.ranking.length, 3);
  });

  // `ulimit -f` is a full disk for everyone, root included: write(2) comes up short, then fails.
  for (const [kib, what, path] of [
    [4, "its own documents", /study\.json/],
    [40, "the checkpoints of its workers", /trials\/[0-9a-f]{16}\/checkpoint/],
  ] as const) {
    it(`ends with exit code 6 and the path when the disk fills up under ${what}, and goes on afterwards`, async () => {
      write("100K");
      const line = `ulimit -f ${kib}; exec "$0" "$@"`;
      const args = [
        process.execPath,
        command,
        "sweep",
        "study.yaml",
        "--out",
        "out",
        "--checkpoint-every",
        "0.1",
        "--json",
      ];
      const child = spawn("bash", ["-c", line, ...args], {
        cwd: folder(),
        stdio: ["ignore", "pipe", "inherit"],
      });
      const output = child.stdout.setEncoding("utf8").toArray();
      const [code] = await once(child, "exit");
      const { ok, error } = JSON.parse((await output).join(""));
      assert.deepEqual([ok, code], [false, 6]);
      assert.match(error.message, /^Expected to write /);
      assert.match(error.message, path);
      write("100K", (text) => text.replace("seeds: 2", "seeds: 1"));
      assert.equal((await sweep("--out", "out")).code, 0);
      assert.equal((await sweep("--out", "calm")).code, 0);
      assert.equal(bytesOf("out"), bytesOf("calm"));
    });
  }

  it("says with exit code 6 that a folder cannot be made", async () => {
    write("6K");
    const { code, stdout } = await sweep("--out", "study.yaml/out", "--json");
    assert.deepEqual([code, JSON.parse(stdout).error.code], [6, "LMX4002"]);
  });

  it("refuses what it cannot run, each with its code", async () => {
    write("6K");
    const cuda = await sweep("--device", "cuda:0", "--json");
    assert.deepEqual([cuda.code, JSON.parse(cuda.stdout).error.code], [7, "LMX4017"]);
    write("6K", (text) => text.slice(0, text.indexOf("proxy:")));
    const bare = await sweep("--json");
    assert.deepEqual([bare.code, JSON.parse(bare.stdout).error.code], [3, "LMX4012"]);
  });
});
