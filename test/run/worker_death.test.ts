// Which deaths count against a trial.
import assert from "node:assert/strict";
import { blameTrial, countOomKills } from "../../src/run/worker_death.js";

describe("a worker's death", () => {
  it("by its own fault is the trial's", () => {
    assert.deepEqual(blameTrial({ code: null, signal: "SIGSEGV" }, 0), { cause: "crash", reason: "SIGSEGV" });
    assert.deepEqual(blameTrial({ code: null, signal: "SIGABRT" }, 0), { cause: "crash", reason: "SIGABRT" });
    assert.deepEqual(blameTrial({ code: null, signal: "SIGFPE" }, 0), { cause: "crash", reason: "SIGFPE" });
    assert.deepEqual(blameTrial({ code: 1, signal: null }, 0), { cause: "crash", reason: "exit code 1" });
  });

  it("by somebody else's hand is not", () => {
    for (const signal of ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"] as const) {
      assert.equal(blameTrial({ code: null, signal }, 0), undefined);
    }
  });

  it("by the kernel's, for want of memory, is", () => {
    assert.deepEqual(blameTrial({ code: null, signal: "SIGKILL" }, 1), {
      cause: "oom",
      reason: "out of memory (killed by the kernel)",
    });
    assert.equal(blameTrial({ code: null, signal: "SIGTERM" }, 1), undefined);
  });

  it("for want of memory is counted by the kernel, where there is one that counts", () => {
    const count = countOomKills();
    assert.ok(Number.isSafeInteger(count) && count >= 0);
  });
});
