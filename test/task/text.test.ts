import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { TokenStore } from "../../src/corpus/token_store.js";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { checkTasks, createTask } from "../../src/task/create_task.js";
import { expandGlob, matches } from "../../src/task/glob.js";
import { resolveTaskOptions } from "../../src/task/options.js";
import { text, textCorpus } from "../../src/task/text.js";
import { type HeldOutWindow, splitText, type TextSplit } from "../../src/task/text_split.js";

const windowsOf = (split: TextSplit): HeldOutWindow[] =>
  Array.from({ length: split.windowCount }, (_, n) => split.window(n));

describe("splitText", () => {
  it("keeps every training window, its last target included, out of the held-out blocks", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 400_000 }),
        fc.double({ min: 0.01, max: 0.5, noNaN: true }),
        fc.integer({ min: 8, max: 64 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (bytes, share, sequence, where) => {
          const split = splitText(bytes, share, sequence);
          for (const n of [0, Math.floor(where * split.trainStarts), split.trainStarts - 1]) {
            const start = split.trainStart(n);
            assert.ok(start >= 0 && start + sequence < bytes);
            // A window of targets covers the bytes start to start + length.
            const touched = windowsOf(split).find(
              (window) => window.start <= start + sequence && start <= window.start + window.length,
            );
            assert.equal(touched, undefined);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it("lets a training window start wherever one fits, each place once", () => {
    const [bytes, sequence] = [1000, 20];
    const split = splitText(bytes, 0.1, sequence);
    const starts = Array.from({ length: split.trainStarts }, (_, n) => split.trainStart(n));
    // One segment of 1000 bytes, the last 100 held out: windows of 21 bytes start at 0 to 879.
    assert.deepEqual(
      starts,
      Array.from({ length: 880 }, (_, i) => i),
    );
  });

  it("asks for every held-out byte after a block's first exactly once", () => {
    const split = splitText(300_000, 0.1, 48);
    const asked = windowsOf(split).flatMap(({ start, length }) =>
      Array.from({ length }, (_, i) => start + 1 + i),
    );
    assert.equal(new Set(asked).size, asked.length);
    // 300,000 / 65,536 rounds to five blocks; each has one byte that nothing predicts.
    assert.equal(asked.length, split.heldOutTokens - 5);
    assert.equal(split.trainTokens + split.heldOutTokens, 300_000);
    assert.ok(Math.abs(split.heldOutTokens / 300_000 - 0.1) < 1e-3);
  });

  it("refuses a corpus in which no window fits", () => {
    assert.throws(
      () => splitText(60, 0.1, 64),
      (error) =>
        error instanceof LayermixError && error.diagnostics[0]!.code === "LMX7005" && error.exitCode === 3,
    );
  });
});

describe("text", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "layermix-text-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
  const spec = (options: Record<string, unknown>) => ({ task: "text", weight: 1, options });
  const optionsOf = (options: Record<string, unknown>) => resolveTaskOptions(text.options, options).options;
  const all = (tokens: TokenStore): number[] => {
    const out = new Int32Array(tokens.count);
    tokens.read(0, tokens.count, out, 0);
    return [...out];
  };

  it("reads bytes, one newline between two files, in the order of the patterns", async () => {
    write("b.txt", "bb");
    write("a.txt", Uint8Array.of(0, 255, 195));
    const { tokens, files } = await textCorpus(optionsOf({ files: ["b.txt", "*.txt"] }), folder);
    assert.deepEqual(all(tokens), [98, 98, 10, 0, 255, 195]);
    assert.deepEqual(
      files.map(({ name, bytes: count }) => [name, count]),
      [
        ["b.txt", 2],
        ["a.txt", 3],
      ],
    );
    assert.equal(files[0]!.sha256, createHash("sha256").update("bb").digest("hex"));
  });

  it("takes a file with the same content once, and says so", async () => {
    write("a.txt", "same words");
    write("copy.txt", "same words");
    const { files, duplicates } = await textCorpus(optionsOf({ files: ["*.txt"] }), folder);
    assert.deepEqual([files.map(({ name }) => name), duplicates], [["a.txt"], ["copy.txt"]]);
  });

  it("wants the byte that follows each token", async () => {
    write(
      "a.txt",
      Uint8Array.from({ length: 5000 }, (_, i) => (i * i + (i >> 7)) & 255),
    );
    const task = await createTask({ sequence: 32 }, spec({ files: ["a.txt"] }), 1, folder);
    for (const batch of [task.trainBatch(0, 20), task.evaluationBatch(0, 20)]) {
      for (let row = 0; row < batch.rows; row++) {
        for (let t = 0; t < 31; t++) {
          const target = batch.targets[row * 32 + t]!;
          if (target >= 0 && batch.targets[row * 32 + t + 1]! >= 0) {
            assert.equal(target, batch.tokens[row * 32 + t + 1]);
          }
        }
      }
    }
  });

  it("is the same task after its files move, and another one after they change", async () => {
    mkdirSync(join(folder, "elsewhere"));
    const content = "the quick brown fox ".repeat(200);
    write("a.txt", content);
    write("elsewhere/b.txt", content);
    write("c.txt", `${content}!`);
    const identity = async (file: string) =>
      (await createTask({ sequence: 32 }, spec({ files: [file] }), 1, folder)).identity;
    assert.deepEqual(await identity("a.txt"), await identity("elsewhere/b.txt"));
    assert.notDeepEqual(await identity("a.txt"), await identity("c.txt"));
  });

  it("names its files and how many bytes it holds out", async () => {
    write("a.txt", "words and words ".repeat(1000));
    const task = await createTask({ sequence: 32 }, spec({ files: ["a.txt"], held_out: "20%" }), 1, folder);
    assert.deepEqual(task.describe(), [
      "text: a.txt (16,000 bytes)",
      "text: 12,800 bytes to train on, 3,200 held out, 100 held-out rows measured",
    ]);
  });

  it("says which pattern matches nothing and from where it looked", async () => {
    const open = (file: string) => textCorpus(optionsOf({ files: [file] }), folder);
    await assert.rejects(open("none/*.txt"), (error) => {
      assert.ok(error instanceof LayermixError);
      assert.equal(error.diagnostics[0]!.code, "LMX7004");
      assert.equal(error.diagnostics[0]!.message, "Expected files at none/*.txt, found none");
      assert.deepEqual(error.diagnostics[0]!.help, [`relative names start from ${folder}`]);
      return true;
    });
    await assert.rejects(
      open("none.txt"),
      /Expected a readable file at none.txt, got: there is no such file/,
    );
    await assert.rejects(open("."), /Expected a readable file at \., got: it is a folder/);
  });

  it("refuses what is not an option, a missing file list and another tokenizer", () => {
    const tasks = [spec({}), spec({ files: ["a"], file: "b" }), spec({ files: ["a"], format: "csv" })];
    assert.deepEqual(
      checkTasks({ sequence: 64, tasks }).map(({ path, message, help }) => [path, message, help[0]]),
      [
        [
          "proxy.tasks[0].files",
          "Expected a list of file names or globs for files, got nothing",
          "File names or globs (*, ?, **), relative to the study file's folder or absolute.",
        ],
        ["proxy.tasks[1].file", "Unknown option file", "an option with a similar name exists: files"],
        [
          "proxy.tasks[2].format",
          'Expected one of auto, text, jsonl, parquet, megatron, llmc, nanogpt for format, got "csv"',
          "What the files are; auto goes by name and header. nanoGPT's headerless files have to be named.",
        ],
      ],
    );
  });
});

describe("expandGlob", () => {
  let folder = "";
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "layermix-glob-"));
    for (const name of [
      "one.txt",
      "two.txt",
      "two.md",
      ".hidden.txt",
      "deep/three.txt",
      "deep/er/four.txt",
    ]) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), "");
    }
  });
  after(() => rmSync(folder, { recursive: true }));
  const names = async (pattern: string) => (await expandGlob(pattern, folder)).map(({ name }) => name);

  it("matches names sorted, without those that begin with a dot", async () => {
    assert.deepEqual(await names("*.txt"), ["one.txt", "two.txt"]);
    assert.deepEqual(await names("t?o.*"), ["two.md", "two.txt"]);
    assert.deepEqual(await names(".*.txt"), [".hidden.txt"]);
  });

  it("goes into folders with ** and with *", async () => {
    assert.deepEqual(await names("**/*.txt"), ["deep/er/four.txt", "deep/three.txt", "one.txt", "two.txt"]);
    assert.deepEqual(await names("*/*.txt"), ["deep/three.txt"]);
    assert.deepEqual(await names("deep/**"), ["deep/er/four.txt", "deep/three.txt"]);
  });

  it("takes absolute patterns, and plain names as they are", async () => {
    assert.deepEqual(await names(`${folder}/deep/*.txt`), [`${folder}/deep/three.txt`]);
    assert.deepEqual(await names("missing.txt"), ["missing.txt"]);
    assert.deepEqual(await names("missing/*.txt"), []);
  });

  it("agrees with a regular expression on short patterns, and does not slow down on long ones", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab*?]{0,8}$/), fc.stringMatching(/^[ab]{0,8}$/), (pattern, name) => {
        const regex = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
        assert.equal(matches(pattern, name), regex.test(name));
      }),
      { numRuns: 2000 },
    );
    // A matcher that backtracks would not come back from this one.
    assert.equal(matches("*a".repeat(50), `${"a".repeat(5000)}b`), false);
  });
});
