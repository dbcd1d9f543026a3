// layermix check, run as a process.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { layermix } from "./layermix.js";
import { inTemporaryFolder } from "./temporary_folder.js";

const good = "model: { layers: 8, hidden: 64, vocab: 100, mix: { mamba2: 50%, mlp: 50% } }\n";

describe("layermix check", () => {
  it("says in one line per file what it found", async () => {
    const { code, stdout } = await layermix([
      "check",
      "preset:mamba2-hybrid-8b",
      "preset:attention-share",
      "--quiet",
    ]);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      "ok  preset:mamba2-hybrid-8b: 24 mamba2, 4 attention, 28 mlp\n" +
        "ok  preset:attention-share: 24 mamba2, 4 attention, 28 mlp; 6 candidates; 36 trials\n",
    );
  });

  it("reads stdin", async () => {
    const { code, stdout } = await layermix(["check", "-"], { input: good });
    assert.deepEqual([code, stdout], [0, "ok  <stdin>: 4 mamba2, 4 mlp\n"]);
  });

  it("suggests a command that a shell understands, and none for stdin", () =>
    inTemporaryFolder(async (cwd) => {
      writeFileSync(join(cwd, "it's mine.yaml"), good);
      assert.equal((await layermix(["check", "-"], { input: good })).stderr, "");
      const { stderr } = await layermix(["check", "it's mine.yaml"], { cwd });
      assert.equal(stderr, "Next: layermix plan 'it'\\''s mine.yaml'\n");
    }));

  it("takes --set, and points at it", async () => {
    const set = ["--set", "model.mix.mamba2=25%", "--set", "model.mix.attention=25%"];
    const changed = await layermix(["check", "-", ...set], { input: good });
    assert.equal(changed.stdout, "ok  <stdin>: 2 mamba2, 2 attention, 4 mlp\n");
    const wrong = await layermix(["check", "-", "--set", "model.hidden=wide"], { input: good });
    assert.equal(wrong.code, 3);
    assert.equal(
      wrong.stderr,
      [
        'error[LMX1103]: Expected a whole number from 1 to 1048576 at model.hidden, got "wide"',
        "  --> command line:1:20",
        "   |",
        " 1 | --set model.hidden=wide",
        "   |                    ^^^^",
        "",
      ].join("\n"),
    );
  });

  it("warns of corpora and tokenizers that are not there", () =>
    inTemporaryFolder(async (cwd) => {
      const files = "files: [here.txt, 'gone/*.txt', tokens], tokenizer: gone.json";
      const proxy = `proxy:\n  tokens: 1M\n  tasks: [{ task: text, ${files} }]\n`;
      writeFileSync(join(cwd, "study.yaml"), good + proxy);
      writeFileSync(join(cwd, "here.txt"), "text");
      writeFileSync(join(cwd, "tokens.idx"), "");
      const { code, stdout } = await layermix(["check", "study.yaml", "--json"], { cwd });
      const { warnings } = JSON.parse(stdout);
      assert.equal(code, 0);
      assert.deepEqual(
        warnings.map(({ code, message, path, line }: Record<string, unknown>) => [code, message, path, line]),
        [
          ["LMX7004", "No file is at gone/*.txt: sweep and train need it", "proxy.tasks[0].files[1]", 4],
          ["LMX7004", "No file is at gone.json: sweep and train need it", "proxy.tasks[0].tokenizer", 4],
        ],
      );
    }));

  it("warns of proxies that can be planned but not trained", async () => {
    const kinds = good.replace("mamba2: 50%", "kda: 25%, mamba2: 25%");
    const proxy = "proxy: { tokens: 1M, tasks: [{ task: recall }] }\n";
    const { code, stderr } = await layermix(["check", "-"], { input: kinds + proxy });
    assert.equal(code, 0);
    assert.match(
      stderr,
      /^warning\[LMX2017\]: The native library does not run kda layers: sweep and train will refuse this study\n +--> <stdin>:2/,
    );
    const other = proxy.replace("{ tokens", "{ model: { pattern: 'M-M-M-M-' }, tokens");
    assert.equal((await layermix(["check", "-"], { input: kinds + other })).stderr, "");
  });

  it("points problems of a plan at the file", () =>
    inTemporaryFolder(async (cwd) => {
      const text = 'model:\n  hidden: 64\n  vocab: 100\n  pattern: "M-MxM"\n';
      writeFileSync(join(cwd, "study.yaml"), text);
      const { code, stdout } = await layermix(["check", "study.yaml", "--json"], { cwd });
      const { error } = JSON.parse(stdout);
      assert.deepEqual([code, error.code, error.file, error.line], [3, "LMX2001", "study.yaml", 4]);
    }));

  it("points problems of a task at the file", () =>
    inTemporaryFolder(async (cwd) => {
      const text = `${good}proxy:\n  tokens: 1M\n  tasks:\n    - { task: recal }\n    - { task: recall, pair: 8 }\n`;
      writeFileSync(join(cwd, "study.yaml"), text);
      const { code, stdout } = await layermix(["check", "study.yaml", "--json"], { cwd });
      const { errors } = JSON.parse(stdout);
      const places = errors.map((error: { code: string; line: number }) => [error.code, error.line]);
      assert.equal(code, 3);
      assert.deepEqual(places, [
        ["LMX7001", 5],
        ["LMX7002", 6],
      ]);
    }));

  it("tells what later rooms have against a file together with what the file itself has", async () => {
    const places = async (input: string) => {
      const { code, stdout } = await layermix(["check", "-", "--json"], { input });
      const { errors } = JSON.parse(stdout);
      return [code, errors.map((error: { code: string; line: number }) => [error.code, error.line])];
    };
    const pattern = 'model:\n  hidden: wide\n  vocab: 100\n  layers: 3\n  pattern: "M-MxM"\n';
    const task = "proxy:\n  sequence: 512\n  tasks:\n    - { task: recal }\n";
    assert.deepEqual(await places(pattern + task), [
      3,
      [
        ["LMX1103", 2],
        ["LMX1204", 4],
        ["LMX2001", 5],
        ["LMX1102", 6],
        ["LMX7001", 9],
      ],
    ]);
    const placement = good.replace(" } }", " }, placement: alternate }");
    assert.deepEqual(await places(placement + task.replace("  sequence", "  tokens: 1M\n  sequence")), [
      3,
      [
        ["LMX2010", 1],
        ["LMX7001", 6],
      ],
    ]);
  });

  it("checks the other files when one is wrong", () =>
    inTemporaryFolder(async (cwd) => {
      writeFileSync(join(cwd, "good.yaml"), good);
      writeFileSync(join(cwd, "bad.yaml"), "model: 1\n");
      const { code, stdout, stderr } = await layermix(["check", "bad.yaml", "good.yaml"], { cwd });
      assert.deepEqual([code, stdout], [3, "ok  good.yaml: 4 mamba2, 4 mlp\n"]);
      assert.match(stderr, /^error\[LMX1103\]: Expected a mapping at model, got 1$/m);
    }));

  it("keeps what it says of good files in JSON when another is wrong", () =>
    inTemporaryFolder(async (cwd) => {
      const proxy = 'proxy: { tokens: 1M, tasks: [{ task: text, files: ["none.txt"] }] }\n';
      writeFileSync(join(cwd, "doubtful.yaml"), good + proxy);
      writeFileSync(join(cwd, "bad.yaml"), "model: 1\n");
      const { code, stdout } = await layermix(["check", "bad.yaml", "doubtful.yaml", "--json"], { cwd });
      const { ok, data, errors, warnings } = JSON.parse(stdout);
      const codes = (list: { code: string }[]) => list.map((one) => one.code);
      assert.deepEqual([code, ok, codes(errors), codes(warnings)], [3, false, ["LMX1103"], ["LMX7004"]]);
      assert.deepEqual(
        data.files.map(({ file }: { file: string }) => file),
        ["doubtful.yaml"],
      );
    }));

  it("colours nothing off a terminal", async () => {
    const { stderr } = await layermix(["check", "-"], { input: "model: 1\n", env: { FORCE_COLOR: "0" } });
    assert.doesNotMatch(stderr, /\u001b/);
  });
});
