// layermix export optuna|tensorboard|csv|json|parquet, run as processes. What is written is read back by others: hyparquet
// here, and Optuna, TensorBoard and Arrow themselves where Python has them (LAYERMIX_PYTHON names one that does).
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parquetReadObjects } from "hyparquet";
import { plainAccuracy, recordStudy } from "../study/recorded_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

const python = process.env.LAYERMIX_PYTHON ?? "python3";
const checker = fileURLToPath(new URL("../../bench/check_exports.py", import.meta.url));

describe("layermix export of a study", () => {
  const folder = useTemporaryFolder();

  /** One trial diverged, one failed, one not run. */
  const mixed = (place: Parameters<typeof plainAccuracy>[0]) => {
    if (place.task === 0 && place.seed === 2) return [Number.NaN, -1, undefined][place.candidate];
    return plainAccuracy(place);
  };

  it("writes the same trials as CSV, JSON and Parquet", async () => {
    const document = await recordStudy(folder(), { accuracy: mixed });
    for (const format of ["csv", "json", "parquet"])
      assert.equal((await layermix(["export", format, folder()])).code, 0);
    const json = JSON.parse(readFileSync(join(folder(), "trials.json"), "utf8"));
    const bytes = readFileSync(join(folder(), "trials.parquet"));
    const parquet = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    });
    const plain = parquet.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          typeof value === "bigint" ? Number(value) : (value ?? null),
        ]),
      ),
    );
    assert.deepEqual(plain, json);
    assert.equal(json.length, document.trials.length);
    const csv = readFileSync(join(folder(), "trials.csv"), "utf8").trim().split("\n");
    assert.equal(csv[0], Object.keys(json[0]).join(","));
    assert.equal(csv.length, json.length + 1);
    const states = json.map((row: { state: string }) => row.state);
    assert.deepEqual(
      ["done", "diverged", "failed", "unfinished"].map(
        (state) => states.filter((s: string) => s === state).length,
      ),
      [15, 1, 1, 1],
    );
    const [first] = json;
    assert.deepEqual(
      [first.candidate, first.task, first.seed, first["mix.attention"], first.tokens, first.accuracy],
      ["attention=0%", "recall", 0, 0, 40 * 256, 0.4],
    );
  });

  it("prints text to stdout for -, and refuses to print Parquet", async () => {
    await recordStudy(folder());
    const { stdout } = await layermix(["export", "csv", folder(), "--table", "curves", "-o", "-"]);
    // 18 trials x (40 steps x 3 training figures + 10 evaluations x 2), and the header.
    assert.equal(stdout.trim().split("\n").length, 18 * (40 * 3 + 10 * 2) + 1);
    assert.match(stdout, /\n[0-9a-f]{16},attention=0%,recall,0,1,256,train,loss,/);
    assert.equal((await layermix(["export", "parquet", folder(), "-o", "-"])).code, 2);
  });

  it("tells Optuna one trial per candidate and seed, with the ranked measure", async () => {
    await recordStudy(folder(), { accuracy: mixed });
    const { code, stdout } = await layermix(["export", "optuna", folder(), "--by", "recall"]);
    assert.equal(code, 0);
    assert.match(stdout, /optuna\.log: tiny, 6 of 9 trials complete, by recall\n/);
    const lines = readFileSync(join(folder(), "optuna.log"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual([lines[0].op_code, lines[0].study_name, lines[0].directions], [0, "tiny", [2]]);
    const trials = lines.filter(({ op_code }) => op_code === 4);
    assert.deepEqual(
      trials.map(({ state }) => state),
      [1, 1, 3, 1, 1, 3, 1, 1, 0],
    );
    assert.deepEqual(trials[3].params, { "mix.attention": 0.25, "mix.mlp": 0.5 });
    assert.ok(Math.abs(trials[3].value - 0.6) < 1e-12);
    assert.ok(Math.abs(trials[3].intermediate_values["50"] - 0.3) < 1e-12);
    assert.equal((await layermix(["export", "optuna", folder(), "--by", "speed"])).code, 2);
  });

  it("writes one TensorBoard run per trial, and the same files again", async () => {
    await recordStudy(folder(), {
      document: (document) => ({
        ...document,
        candidates: document.candidates.map((c, i) => (i === 0 ? { ...c, name: "../../out" } : c)),
      }),
    });
    for (let i = 0; i < 2; i++) assert.equal((await layermix(["export", "tensorboard", folder()])).code, 0);
    const runs = join(folder(), "tensorboard");
    assert.deepEqual(readdirSync(runs).sort(), ["_out", "attention=25%", "attention=50%"]);
    assert.deepEqual(readdirSync(join(runs, "attention=25%", "recall", "seed-1")), [
      "events.out.tfevents.0.layermix",
    ]);
    assert.ok(!existsSync(join(folder(), "..", "out")));
  });

  it("is opened by Optuna, TensorBoard and Arrow, with every number as it was", async function () {
    if (spawnSync(python, ["-c", "import optuna, tensorboard, pyarrow"]).status !== 0) this.skip();
    await recordStudy(folder(), { seeds: 2 });
    for (const words of ["optuna", "tensorboard", "csv", "parquet"])
      await layermix(["export", words, folder()]);
    await layermix(["export", "parquet", folder(), "--table", "curves"]);
    const { status, stdout, stderr } = spawnSync(python, [checker, folder()], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /optuna .*: 6 trials, 6 complete.*\ntensorboard .*: 12 runs.*\npyarrow/);
  });
});
