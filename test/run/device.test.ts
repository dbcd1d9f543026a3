// Which device a name means, and what is said when it is not there.

import assert from "node:assert/strict";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { chooseDevice } from "../../src/run/device.js";
import { addonFor } from "../../src/run/load_native.js";
import type { NativeDevices } from "../../src/run/native.js";
import { probeCuda } from "../../src/run/probe_cuda.js";

const two = () => ({ cuda: ["card A", "card B"] });
const none = () => ({ cuda: [], reason: "no driver" });

describe("device", () => {
  it("takes the first GPU for auto, and the CPU where there is none", () => {
    assert.equal(chooseDevice("auto", two), "cuda:0");
    assert.equal(chooseDevice("auto", none), "cpu");
  });

  it("takes what is named", () => {
    assert.equal(chooseDevice("cuda:1", two), "cuda:1");
    assert.equal(chooseDevice("cpu", two), "cpu");
  });

  it("does not look for GPUs when the CPU is named", () => {
    assert.equal(
      chooseDevice("cpu", () => assert.fail("probed")),
      "cpu",
    );
  });

  it("refuses a GPU that is not there, with the reason and exit code 7", () => {
    const refuses = (asked: string, probe: () => NativeDevices, message: string) =>
      assert.throws(
        () => chooseDevice(asked, probe),
        (error) => {
          assert.ok(error instanceof LayermixError);
          assert.equal(error.exitCode, 7);
          assert.equal(error.diagnostics[0]?.code, "LMX4017");
          assert.equal(error.diagnostics[0]?.message, message);
          return true;
        },
      );
    refuses("cuda:0", none, "Expected a device this machine can train on, got cuda:0: no driver");
    refuses("cuda:2", two, "Expected a device this machine can train on, got cuda:2: the last one is cuda:1");
  });

  it("knows which addon runs which device", () => {
    assert.deepEqual(["cpu", "cuda:0", "cuda:3"].map(addonFor), ["cpu", "cuda", "cuda"]);
  });

  it("answers a probe with GPUs or with a reason, never with both or neither", () => {
    const { cuda, reason } = probeCuda();
    assert.equal(cuda.length > 0, reason === undefined);
    if (cuda.length === 0) assert.match(reason ?? "", /\S/);
  }).timeout(30_000);
});
