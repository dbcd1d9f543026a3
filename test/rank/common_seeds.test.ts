// Candidates that were given further seeds are compared over those that all have.

import assert from "node:assert/strict";
import { commonSeeds } from "../../src/rank/common_seeds.js";
import { prepareTiny } from "../run/tiny_study.js";

describe("common seeds", () => {
  it("are those of every candidate that was begun", async () => {
    const { document } = await prepareTiny({ seeds: 3 });
    assert.deepEqual(commonSeeds(document), [0, 1, 2]);
    const decided = {
      ...document,
      trials: document.trials.filter(({ candidate, seed }) => candidate !== 2 || seed < 2),
    };
    assert.deepEqual(commonSeeds(decided), [0, 1]);
    const notBegun = { ...document, trials: document.trials.filter(({ candidate }) => candidate !== 2) };
    assert.deepEqual(commonSeeds(notBegun), [0, 1, 2]);
  });
});
