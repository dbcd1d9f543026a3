// `layermix verify` from the outside: the envelope, the exit codes, and text for people.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors, writeSafetensors } from "../../src/interop/safetensors.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const golden = "test/fixtures/golden";

function layermix(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ["bin/run.js", ...args], { cwd: root, encoding: "utf8" });
}

describe("layermix verify", () => {
  it("prints the comparison as data", () => {
    const { status, stdout, stderr } = layermix(
      "verify",
      `${golden}/mamba2_g1`,
      "--against",
      `${golden}/mamba2_g1/io.safetensors`,
      "--precision",
      "fp32",
      "--json",
    );
    assert.deepEqual([status, stderr], [0, ""]);
    const envelope = JSON.parse(stdout);
    assert.deepEqual([envelope.schema, envelope.command, envelope.ok], ["layermix/1", "verify", true]);
    const { logitsMaxAbs, lossAbs, hiddenMaxAbs, gradients, worstGradient, ok, ...rest } = envelope.data;
    const { limits, ...others } = rest;
    assert.deepEqual(others, {});
    assert.deepEqual([limits.logits, limits.loss], [2e-5, 2e-5]);
    assert.deepEqual(new Set(Object.values(limits.gradients)), new Set([1e-4]));
    assert.ok(ok && logitsMaxAbs <= 2e-5 && lossAbs <= 2e-5 && worstGradient <= 1e-4);
    assert.equal(hiddenMaxAbs.length, 4);
    assert.equal(Object.keys(gradients).length, 30);
  });

  it("takes the recorded run from the folder and says that it is equal", () => {
    const { status, stdout } = layermix("verify", `${golden}/nemotronh_dense_M-M*-M-`);
    assert.equal(status, 0);
    assert.match(stdout, /^logits +largest difference +\d\.\d\de-6 +\(at most 2\.00e-5\)\n/);
    assert.match(stdout, /\nequal within tolerance\n$/);
  });

  it("says how to get a recorded run where there is none", () => {
    const folder = mkdtempSync(join(tmpdir(), "layermix-verify-"));
    for (const name of ["config.json", "model.safetensors"])
      copyFileSync(join(root, golden, "nemotronh_g1", name), join(folder, name));
    const { status, stderr } = layermix("verify", folder);
    rmSync(folder, { recursive: true });
    assert.equal(status, 3);
    assert.match(
      stderr,
      /^error\[LMX5104\]: Expected a recorded run at .*io\.safetensors, found none\n.*--record 64/,
    );
  });

  it("exits with 5 when they are not equal", () => {
    // A recorded run whose logits are those of another input.
    const folder = mkdtempSync(join(tmpdir(), "layermix-verify-"));
    const reference = join(folder, "io.safetensors");
    const recorded = openSafetensors(join(root, golden, "nemotronh_g1", "io.safetensors"));
    const read = (name: string) => ({ ...recorded.tensors.get(name)!, data: recorded.read(name) });
    const ids = read("input_ids");
    new BigInt64Array(ids.data.buffer).reverse();
    writeSafetensors(reference, [ids, read("logits")]);
    const { status, stdout } = layermix("verify", `${golden}/nemotronh_g1`, "--against", reference, "--json");
    rmSync(folder, { recursive: true });
    assert.equal(status, 5);
    assert.equal(JSON.parse(stdout).data.ok, false);
  });

  it("exits with 3 when the reference belongs to another model, and with 7 without the device", () => {
    const other = layermix(
      "verify",
      `${golden}/nemotronh_g1`,
      "--against",
      `${golden}/mamba2_g1/io.safetensors`,
    );
    assert.deepEqual([other.status, other.stdout], [3, ""]);
    assert.match(other.stderr, /LMX5104.*Expected 7 hidden_states in .*, got 4/);
    const device = layermix("verify", `${golden}/nemotronh_g1`, "--device", "cuda:99", "--json");
    assert.equal(device.status, 7);
    assert.equal(JSON.parse(device.stdout).error.code, "LMX3003");
  });
});
