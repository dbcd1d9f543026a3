// The files of a study: whole or absent, the same bytes for the same study, and clear words when the disk refuses.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { createFileExclusive, writeFileAtomic, writeFileOnce } from "../../src/study/atomic_file.js";
import { crashCount, crashLimit, forgiveTrial, recordCrash } from "../../src/study/crash_record.js";
import { createStudyFolder } from "../../src/study/create_study.js";
import { readJson, writeJson } from "../../src/study/json_file.js";
import { publishFailure, publishResult, readOutcome, type TrialFailure } from "../../src/study/outcome.js";
import { onDisk } from "../../src/study/storage_error.js";
import { readStudy } from "../../src/study/study_document.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import { createTiny, prepareTiny } from "../run/tiny_study.js";
import { useTemporaryFolder } from "./temporary_folder.js";

const refusal = (code: string) => (error: unknown) => {
  assert.ok(error instanceof LayermixError, String(error));
  assert.equal(error.diagnostics[0]?.code, code);
  assert.equal(error.exitCode, 6);
  return true;
};

describe("a file written whole", () => {
  const folder = useTemporaryFolder();

  it("replaces what was there and leaves nothing beside it", () => {
    const path = join(folder(), "file");
    writeFileAtomic(path, "old");
    writeFileAtomic(path, new Uint8Array([110, 101, 119]));
    assert.equal(readFileSync(path, "utf8"), "new");
    assert.deepEqual(readdirSync(folder()), ["file"]);
  });

  it("leaves the old content and nothing beside it when it cannot be put in place", () => {
    mkdirSync(join(folder(), "taken"));
    writeFileSync(join(folder(), "taken", "child"), "");
    assert.throws(() => writeFileAtomic(join(folder(), "taken"), "x"), refusal("LMX4002"));
    assert.deepEqual(readdirSync(folder()), ["taken"]);
    assert.throws(() => writeFileAtomic(join(folder(), "none", "file"), "x"), refusal("LMX4003"));
    assert.throws(() => writeFileAtomic(join(folder(), "taken", "child", "x"), "x"), refusal("LMX4002"));
  });

  it("put into place once keeps its first content, and leaves nothing beside it", () => {
    const path = join(folder(), "once.json");
    writeFileOnce(path, "first");
    writeFileOnce(path, "second");
    assert.equal(readFileSync(path, "utf8"), "first");
    assert.deepEqual(readdirSync(folder()), ["once.json"]);
  });

  it("created exclusively is created once, and the first content stands", () => {
    const path = join(folder(), "file");
    assert.deepEqual(
      [createFileExclusive(path, "first"), createFileExclusive(path, "second")],
      [true, false],
    );
    assert.equal(readFileSync(path, "utf8"), "first");
    assert.deepEqual(readdirSync(folder()), ["file"]);
  });

  it("names the path and the remedy for every way a disk can refuse", () => {
    const failing = (errno: string) => () => {
      throw Object.assign(new Error(`${errno}: refused`), { code: errno });
    };
    for (const [errno, code, words] of [
      ["ENOSPC", "LMX4001", "the disk is full"],
      ["EDQUOT", "LMX4001", "the quota is used up"],
      ["EFBIG", "LMX4001", "a file would grow over its size limit"],
      ["EROFS", "LMX4002", "the file system is read-only"],
      ["EACCES", "LMX4002", "permission denied"],
      ["EIO", "LMX4003", "EIO: refused"],
    ] as const) {
      assert.throws(
        () => onDisk("write", "/a/path", failing(errno)),
        (error: unknown) => {
          refusal(code)(error);
          const { diagnostics } = error as LayermixError;
          assert.equal(diagnostics[0]?.message, `Expected to write /a/path, got: ${words}`);
          assert.equal(diagnostics[0]?.help.length, 1);
          return true;
        },
      );
    }
    const own = new TypeError("not the disk's fault");
    assert.throws(
      () =>
        onDisk("read", "/a/path", () => {
          throw own;
        }),
      (error) => error === own,
    );
  });

  it("on a full device says so", () => {
    assert.throws(
      () => onDisk("write", "/dev/full", () => writeFileSync("/dev/full", "x")),
      refusal("LMX4001"),
    );
  });
});

describe("a JSON document", () => {
  const folder = useTemporaryFolder();

  it("is read back as it was written, and its absence is no error", () => {
    const path = join(folder(), "a.json");
    assert.equal(readJson(path), undefined);
    writeJson(path, { format: 1, loss: 0.1 + 0.2 });
    assert.deepEqual(readJson(path), { format: 1, loss: 0.1 + 0.2 });
  });

  it("cut at any byte is refused, never half read", () => {
    const path = join(folder(), "a.json");
    writeJson(path, { format: 1, list: [1, 2, { three: "four" }] });
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length - 1; length++) {
      writeFileSync(path, whole.subarray(0, length));
      assert.throws(() => readJson(path), refusal("LMX4006"), `cut after ${length} bytes`);
    }
  });

  it("of a newer format is refused", () => {
    const path = join(folder(), "a.json");
    writeJson(path, { format: 2 });
    assert.throws(() => readJson(path), refusal("LMX4005"));
  });
});

describe("a study folder", () => {
  const folder = useTemporaryFolder();

  it("holds the study and a folder per trial, and is written again to the same bytes", async () => {
    const study = await createTiny(folder());
    assert.deepEqual(readdirSync(folder()).sort(), ["study.json", "study.yaml", "trials"]);
    assert.deepEqual(
      readdirSync(studyLayout.trials(folder())).sort(),
      study.trials.map(({ id }) => id).sort(),
    );
    assert.deepEqual(readStudy(folder()), JSON.parse(JSON.stringify(study.document)));
    const files = [
      studyLayout.document(folder()),
      trialLayout.definition(studyLayout.trial(folder(), study.trials[0]!.id)),
    ];
    const before = files.map((path) => statSync(path).ino);
    createStudyFolder(folder(), await prepareTiny(), "# tiny\n");
    assert.deepEqual(
      files.map((path) => statSync(path).ino),
      before,
      "what has not changed is not written again",
    );
  });

  it("keeps what trials have when the study changes", async () => {
    const small = await createTiny(folder(), { seeds: 1 });
    const trial = studyLayout.trial(folder(), small.trials[0]!.id);
    const result = { format: 1, id: "x", status: "done", steps: 1, tokens: 1, evaluations: [] } as const;
    publishResult(trial, result);
    const large = await createTiny(folder(), { seeds: 3 });
    assert.equal(readdirSync(studyLayout.trials(folder())).length, large.trials.length);
    assert.deepEqual(readOutcome(trial), result);
  });

  it("that may not be written is refused with its path", async function () {
    if (process.getuid?.() === 0) this.skip(); // root may write everywhere
    chmodSync(folder(), 0o500);
    await assert.rejects(createTiny(join(folder(), "study")), refusal("LMX4002"));
  });
});

describe("crashes of a trial", () => {
  const folder = useTemporaryFolder();

  it("are counted in files, and the third is the failure", () => {
    assert.equal(crashLimit, 3);
    const seen: unknown[] = [];
    for (let count = 1; count <= 3; count++) {
      seen.push([crashCount(folder()), readOutcome(folder())]);
      assert.equal(recordCrash(folder(), "id", { cause: "crash", reason: "SIGSEGV" }, ["last words"]), count);
    }
    assert.deepEqual(seen, [
      [0, undefined],
      [1, undefined],
      [2, undefined],
    ]);
    const failure = readOutcome(folder()) as TrialFailure;
    assert.deepEqual([failure.code, failure.stderr], ["LMX4007", ["last words"]]);
  });

  it("are forgotten when the trial is forgiven", () => {
    for (let count = 0; count < 3; count++)
      recordCrash(folder(), "id", { cause: "crash", reason: "SIGSEGV" }, []);
    forgiveTrial(folder());
    assert.equal(crashCount(folder()), 0);
    assert.equal(readOutcome(folder()), undefined);
  });

  it("do not outweigh a result", () => {
    const result = { format: 1, id: "id", status: "done", steps: 1, tokens: 1, evaluations: [] } as const;
    publishFailure(folder(), { format: 1, id: "id", code: "LMX4009", message: "late", stderr: [] });
    publishResult(folder(), result);
    assert.deepEqual(readOutcome(folder()), result);
  });
});
