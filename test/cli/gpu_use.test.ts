// What a sweep says about its use of a GPU, from the files that trials leave: made here, for there is no GPU.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { gpuUse, OwnSteps, renderGpuUse } from "../../src/cli/gpu_use.js";
import { studyFormat } from "../../src/study/json_file.js";
import { writeTiming } from "../../src/study/outcome.js";
import { studyLayout } from "../../src/study/study_layout.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

describe("the use of a GPU", () => {
  const folder = useTemporaryFolder();

  function spent(id: string, deviceSeconds?: number): void {
    const trial = studyLayout.trial(folder(), id);
    mkdirSync(trial, { recursive: true });
    writeTiming(trial, {
      ...{ format: studyFormat, steps: 10, trainSeconds: 50, evaluationSeconds: 1, tokensPerSecond: 1 },
      ...{ threads: 1, device: "cuda:0", host: "here", build: "test" },
      ...(deviceSeconds === undefined ? {} : { deviceSeconds }),
    });
  }

  it("counts what this sweep trained: no earlier steps, and nobody else's", () => {
    spent("begun", 30);
    spent("other", 5);
    const steps = new OwnSteps(folder());
    for (const id of ["begun", "begun", "new", "cpu"]) steps.claimed(id);
    spent("begun", 42);
    spent("new", 8);
    spent("other", 100);
    spent("later", 100);
    spent("cpu");
    assert.equal(steps.seconds, 20);
    assert.equal(new OwnSteps(folder()).seconds, 0);
  });

  it("is a share of the time for one trial at a time, steps in flight for several", () => {
    assert.equal(renderGpuUse(gpuUse(362, 338, 1)), "GPU: training steps took 338 of 362 s (93%)");
    const shared = gpuUse(381, 565, 2);
    assert.equal(
      renderGpuUse(shared),
      "GPU: 2 trials at a time, 1.5 training steps in flight on average over 381 s",
    );
    assert.deepEqual(shared, { seconds: 381, stepSeconds: 565, trialsAtOnce: 2, stepsInFlight: 565 / 381 });
  });
});
