import assert from "node:assert/strict";
import { stepsPerCall } from "../../src/run/steps_per_call.js";

describe("steps per call", () => {
  it("begins with one, and doubles up to what takes 50 ms", () => {
    let last = { steps: stepsPerCall(undefined), seconds: 0.0015 };
    const all = [last.steps];
    for (let call = 0; call < 6; call++) {
      const steps = stepsPerCall(last);
      last = { steps, seconds: 0.0015 * steps };
      all.push(steps);
    }
    assert.deepEqual(all, [1, 2, 4, 8, 16, 32, 33]);
  });

  it("is one where a step takes longer, and grows again after a slow one", () => {
    assert.equal(stepsPerCall({ steps: 1, seconds: 3 }), 1);
    assert.equal(stepsPerCall({ steps: 4, seconds: 4 }), 1);
    assert.equal(stepsPerCall({ steps: 1, seconds: 0.001 }), 2);
  });

  it("keeps to a shorter time where one is given, to 64 steps, and to at least one", () => {
    assert.equal(stepsPerCall({ steps: 32, seconds: 0.032 }, 0.01), 10);
    assert.equal(stepsPerCall({ steps: 32, seconds: 0.032 }, 1e-6), 1);
    assert.equal(stepsPerCall({ steps: 32, seconds: 0.032 }, 60), 50);
    assert.equal(stepsPerCall({ steps: 64, seconds: 1e-4 }), 64);
  });
});
