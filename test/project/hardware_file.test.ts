// Hardware files: those that come with layermix say where every number is from; a malformed one is refused at the place
// of the mistake.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { peakTypes } from "../../src/project/hardware.js";
import { parseHardware } from "../../src/project/hardware_file.js";
import { loadAllHardware, loadHardware, matchHardware } from "../../src/project/load_hardware.js";
import { hardwareFile, listHardwareNames } from "../../src/spec/presets.js";

const text = (changes: string) => `layermix_hardware: 1
name: Example
arithmetic: bf16
memory: { value: 80GiB, basis: datasheet, source: a sheet }
bandwidth: { value: 2TB, basis: datasheet, source: a sheet }
peak: { bf16: { value: 100T, basis: measured, source: a run } }
${changes}`;

function problems(changes: string): readonly string[] {
  try {
    parseHardware(text(changes), "gpu.yaml", "gpu.yaml");
  } catch (error) {
    if (!(error instanceof LayermixError)) throw error;
    assert.equal(error.exitCode, 3);
    return error.diagnostics.map(
      ({ code, message, position }) => `${code} ${position?.line}:${position?.column} ${message}`,
    );
  }
  return [];
}

describe("hardware files", () => {
  it("of the issue are all there, and a first line says what each is", () => {
    assert.deepEqual(listHardwareNames(), [
      ...["a100-40gb", "a100-80gb", "a100-pcie", "b200", "gb200", "h100-pcie", "h100-sxm", "h200", "l40s"],
      ...["mi300x", "rtx-4090", "rtx-5090"],
    ]);
    for (const name of listHardwareNames()) {
      assert.match(readFileSync(hardwareFile(name), "utf8"), /^# [A-Z].*\.\n/, name);
    }
  });

  it("name a source and a basis for every number, in plausible sizes", async () => {
    for (const { id, memory, bandwidth, peak, interconnect } of await loadAllHardware()) {
      const figures = [memory, bandwidth, interconnect!.bandwidth, ...Object.values(peak)];
      for (const { source, basis } of figures) {
        assert.ok(source.length > 10, id);
        assert.ok(["datasheet", "measured", "derived"].includes(basis), id);
      }
      assert.ok(memory.value > 2e10 && memory.value < 4e11, id);
      assert.ok(bandwidth.value > 5e11 && bandwidth.value < 1e13, id);
      assert.ok(peak.bf16!.value > 1e14 && peak.bf16!.value < 3e15, id);
      const rates = peakTypes.flatMap((type) => (type === "tf32" ? [] : (peak[type]?.value ?? [])));
      assert.deepEqual(
        rates,
        [...rates].sort((a, b) => a - b),
        `${id}: narrower types are not slower`,
      );
    }
  });

  // What the vendors print, in other words than the files: dense rates from sparse ones, ratios between products.
  it("agree with what is known of the devices in other ways", async () => {
    const h100 = await loadHardware("h100-sxm");
    const h200 = await loadHardware("h200");
    for (const type of peakTypes) assert.equal(h100.peak[type]?.value, h200.peak[type]?.value); // the same chip
    assert.ok(Math.abs(h200.bandwidth.value / h100.bandwidth.value - 1.43) < 0.01); // "1.4X more bandwidth"
    assert.ok(Math.abs(h200.peak.fp8!.value - 3958e12 / 2) < 1e12); // 3,958 TFLOPS with sparsity
    // 132 SMs, 4096 dense bf16 FLOPs per cycle and SM, 1830 MHz
    assert.ok(Math.abs(h200.peak.bf16!.value / (132 * 4096 * 1.83e9) - 1) < 0.01);
    // 128 SMs, 1024 per cycle and SM, 2520 MHz (Ada, fp32 accumulation at half rate)
    const ada = await loadHardware("rtx-4090");
    assert.ok(Math.abs(ada.peak.bf16!.value / (128 * 512 * 2.52e9) - 1) < 0.01);
    // 384 bits at 21 Gb/s; 512 bits at 28 Gb/s; five stacks of 1024 bits at 3.186 Gb/s
    assert.equal(ada.bandwidth.value, (384 / 8) * 21e9);
    assert.equal((await loadHardware("rtx-5090")).bandwidth.value, (512 / 8) * 28e9);
    const a100 = await loadHardware("a100-80gb");
    assert.ok(Math.abs(a100.bandwidth.value / (5 * 128 * 3.186e9) - 1) < 0.01);
  });

  it("are found by what a driver calls the device; the longest part wins", async () => {
    const all = await loadAllHardware();
    const named = (reported: string) => matchHardware(reported, all)?.id;
    assert.equal(named("NVIDIA H200"), "h200");
    assert.equal(named("NVIDIA H100 80GB HBM3"), "h100-sxm");
    assert.equal(named("NVIDIA A100-SXM4-40GB"), "a100-40gb");
    assert.equal(named("NVIDIA GB200"), "gb200");
    assert.equal(named("NVIDIA GeForce GT 710"), undefined);
  });

  it("are read with their units", () => {
    const { memory, bandwidth, peak } = parseHardware(text(""), "gpu.yaml", "mine");
    assert.equal(memory.value, 80 * 1024 ** 3);
    assert.equal(bandwidth.value, 2e12);
    assert.equal(peak.bf16!.value, 1e14);
  });

  it("are refused at the place of the mistake", () => {
    assert.deepEqual(problems(""), []);
    assert.deepEqual(problems("speed: 1"), ["LMX1101 7:1 Unknown key speed"]);
    const point = (operation: string) =>
      `calibration: { device: d, date: today, complete: true, points: [{ operation: ${operation}, seconds: 1 }] }`;
    assert.deepEqual(problems(point("{ kind: linear, rows: 1, in: 8, out: 8 }")), []);
    assert.match(
      problems(point("{ kind: linear, rows: 1, in: 8 }"))[0]!,
      /^LMX1503 7:\d+ Expected an operation that can be measured, got linear with a size missing/,
    );
    assert.match(problems(point("{ kind: teleport }"))[0]!, /^LMX1503 7:\d+ .*the kind "teleport"$/);
    assert.match(problems(point("{ kind: argmax, rows: -1, vocab: 8 }"))[0]!, /^LMX1503/);
  });
});
