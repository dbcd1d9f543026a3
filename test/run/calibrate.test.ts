// Calibration with the real library on the CPU: a file that is whole at any moment, that goes on where it was stopped,
// and that reads back as it was written.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Operation } from "../../src/block/operations.js";
import { calibrationShapes } from "../../src/project/calibration_shapes.js";
import type { Hardware } from "../../src/project/hardware.js";
import { parseHardware } from "../../src/project/hardware_file.js";
import { hardwareFileText } from "../../src/project/hardware_text.js";
import { loadAllHardware } from "../../src/project/load_hardware.js";
import { type CalibrationRequest, calibrate } from "../../src/run/calibrate.js";
import { loadNative } from "../../src/run/load_native.js";
import { inTemporaryFolder } from "../cli/temporary_folder.js";
import { calibrated, device } from "../project/devices.js";

const read = (file: string): Hardware => parseHardware(readFileSync(file), file, file);

describe("a calibration", () => {
  /** Measures until `count` more shapes are there. */
  async function measure(file: string, count: number, points: CalibrationRequest["points"]) {
    const stop = new AbortController();
    const seen: string[] = [];
    let first: number | undefined;
    const hardware = await calibrate(loadNative("cpu"), {
      facts: { device: "cpu", reported: "A CPU", memoryBytes: 2 ** 34, threads: 1, cores: 2 },
      ...{ plan: "quick", file, points, seconds: 0.001, date: "2026-01-01 00:00:00", version: "0" },
      stop: stop.signal,
      onProgress: (done, total, last) => {
        first ??= done - 1;
        if (last !== undefined) seen.push(JSON.stringify(last.operation));
        assert.equal(total, calibrationShapes("fp32", "quick").length);
        if (done - first >= count) stop.abort();
      },
      onSkipped: ({ kind }: Operation, reason) => assert.fail(`${kind}: ${reason}`),
    });
    return { hardware, seen };
  }

  it("can be stopped, is then a hardware file, and goes on with what is missing", async () => {
    await inTemporaryFolder(async (folder) => {
      const file = join(folder, "cpu.yaml");
      const begun = await measure(file, 12, []);
      const half = read(file);
      assert.equal(half.calibration!.complete, false);
      assert.equal(half.calibration!.points.length, 12);
      assert.equal(half.calibration!.threads, 1);
      assert.equal(half.arithmetic, "fp32");
      assert.equal(half.peak.fp32!.basis, "measured");
      assert.ok(half.bandwidth.value > 1e8);
      const { seen } = await measure(file, 3, half.calibration!.points);
      assert.equal(seen.length, 3);
      assert.deepEqual(
        seen.filter((operation) => begun.seen.includes(operation)),
        [],
      );
      assert.equal(read(file).calibration!.points.length, 15);
    });
  });
});

describe("the text of a hardware file", () => {
  it("reads back to what was written, for every device and for a calibrated one", async () => {
    for (const hardware of [...(await loadAllHardware()), calibrated(device())]) {
      const text = hardwareFileText(hardware, "A device.");
      const back = parseHardware(text, "device.yaml", hardware.id);
      const rounded = (one: Hardware) => ({
        ...one,
        calibration: {
          ...one.calibration,
          points: one.calibration?.points.map((point) => ({
            ...point,
            seconds: Number(point.seconds.toPrecision(5)),
          })),
        },
      });
      assert.deepEqual(rounded(back), rounded(hardware));
    }
  });
});

describe("the shapes of a calibration", () => {
  it("are each measured once; quick ones are fewer, and cover the same kinds", () => {
    for (const arithmetic of ["bf16", "fp32"] as const) {
      const full = calibrationShapes(arithmetic, "full");
      const quick = calibrationShapes(arithmetic, "quick");
      const texts = full.map((operation) => JSON.stringify(operation));
      assert.equal(new Set(texts).size, full.length);
      assert.ok(quick.length < full.length / 3);
      const kinds = (list: readonly Operation[]) => [...new Set(list.map(({ kind }) => kind))].sort();
      assert.deepEqual(kinds(quick), kinds(full));
    }
  });

  it("leave models of other widths to test projections with", () => {
    const widths = calibrationShapes("bf16", "full").flatMap((operation) =>
      operation.kind === "linear" ? [operation.in, operation.out] : [],
    );
    for (const width of [1280, 2048, 2560, 3072]) assert.ok(!widths.includes(width), String(width));
  });
});
