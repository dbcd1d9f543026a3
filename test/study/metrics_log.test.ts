// metrics.jsonl survives a death inside any write: torn at every byte, the whole lines are read and the rest is cut.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type MetricsLine,
  MetricsLog,
  NoLongerOurs,
  parseMetrics,
  readMetrics,
  readMetricsAt,
} from "../../src/study/metrics_log.js";
import { useTemporaryFolder } from "./temporary_folder.js";

const line = (step: number): MetricsLine => ({
  step,
  tokens: step * 256,
  loss: 5.545177444479562 / step,
  gradNorm: step === 2 ? null : 0.1 + 0.2,
  learningRate: 1e-3 / 3,
});
const lines: MetricsLine[] = [line(1), line(2), { step: 2, eval: { loss: 1.25, accuracy: 1 / 3 } }, line(3)];

describe("the metrics log", () => {
  const folder = useTemporaryFolder();
  const written = (): { path: string; bytes: Buffer } => {
    const path = join(folder(), "metrics.jsonl");
    const log = new MetricsLog(path, 0);
    for (const each of lines) log.append(each);
    log.close();
    return { path, bytes: readFileSync(path) };
  };

  it("gives back every line with its doubles intact", () => {
    assert.deepEqual(readMetrics(written().path), lines);
  });

  it("has no lines when there is no file", () => {
    assert.deepEqual(readMetrics(join(folder(), "none")), []);
  });

  it("torn at every byte, reads exactly the lines whose newline is there", () => {
    const { path, bytes } = written();
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      const newlines = bytes.subarray(0, length).filter((byte) => byte === 10).length;
      assert.deepEqual(readMetrics(path), lines.slice(0, newlines), `torn after ${length} bytes`);
    }
  });

  it("torn at every byte after a mark, resumes from the mark to the same bytes as without the tear", () => {
    const path = join(folder(), "metrics.jsonl");
    const first = new MetricsLog(path, 0);
    for (const each of lines.slice(0, 2)) first.append(each);
    const mark = first.sync();
    for (const each of lines.slice(2)) first.append(each);
    first.close();
    const whole = readFileSync(path);
    for (let length = mark.bytes; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      assert.deepEqual(readMetricsAt(path, mark), lines.slice(0, 2));
      const resumed = new MetricsLog(path, mark.bytes);
      for (const each of lines.slice(2)) resumed.append(each);
      resumed.close();
      assert.deepEqual(readFileSync(path), whole, `torn after ${length} bytes`);
    }
  });

  it("knows when the lines of a mark are not there: too short, or not the same bytes", () => {
    const { path, bytes } = written();
    const log = new MetricsLog(path, bytes.length);
    const mark = log.sync();
    log.close();
    assert.equal(mark.bytes, bytes.length);
    const flipped = Buffer.from(bytes);
    flipped[7] = flipped[7]! ^ 1;
    writeFileSync(path, flipped);
    assert.equal(readMetricsAt(path, mark), undefined);
    writeFileSync(path, bytes);
    assert.deepEqual(readMetricsAt(path, mark), lines);
    truncateSync(path, mark.bytes - 1);
    assert.equal(readMetricsAt(path, mark), undefined);
  });

  it("tells a damaged middle line from a torn last one", () => {
    const bytes = Buffer.from('{"step":1}\n{"st\n{"step":3}\n');
    assert.equal(parseMetrics(bytes), undefined);
    assert.deepEqual(parseMetrics(Buffer.from('{"step":1}\n{"st')), [{ step: 1 }]);
  });

  it("fences off an owner that was only thought dead: its late lines reach nobody", () => {
    const path = join(folder(), "metrics.jsonl");
    const old = new MetricsLog(path, 0);
    old.append(lines[0]!);
    const mark = old.sync();
    const successor = new MetricsLog(path, mark.bytes);
    old.append(lines[1]!);
    successor.append(lines[1]!);
    old.append(lines[2]!);
    assert.deepEqual(readMetrics(path), lines.slice(0, 2));
    old.close();
    successor.close();
  });

  it("of an owner that was given up while it began replaces nothing and leaves nothing", () => {
    const path = join(folder(), "metrics.jsonl");
    const successor = new MetricsLog(path, 0);
    successor.append(lines[0]!);
    successor.close();
    assert.throws(() => new MetricsLog(path, 0, () => false), NoLongerOurs);
    assert.deepEqual(readMetrics(path), [lines[0]]);
    assert.deepEqual(readdirSync(folder()), ["metrics.jsonl"]);
  });
});
