// The quickstart is what its first lines say. That it trains, and what it shows, is seen by running it.
import assert from "node:assert/strict";
import { prepareStudy } from "../../src/search/prepare_study.js";
import { loadStudy } from "../../src/spec/load_study.js";

describe("preset:quickstart", () => {
  it("compares five attention shares, none to all, on text that comes along and on recall, three seeds each", async () => {
    const { spec, warnings } = await loadStudy("preset:quickstart");
    const { document, trials } = await prepareStudy(spec, { seed: 0, device: "cpu", version: "test" });
    assert.deepEqual(warnings, []);
    assert.deepEqual(document.dropped, []);
    assert.deepEqual(
      document.candidates.map(({ name, pattern }) => [name, pattern]),
      [
        ["attention=0%", "M-M-M-M-"],
        ["attention=12.5%", "M-M-*-M-"],
        ["attention=25%", "M-*-M*--"],
        ["attention=37.5%", "-*M-*-*-"],
        ["attention=50%", "-*-**-*-"],
      ],
    );
    assert.deepEqual(
      document.tasks.map(({ task, weight }) => [task, weight]),
      [
        ["text", 1],
        ["recall", 1],
      ],
    );
    assert.deepEqual(document.seeds, [0, 1, 2]);
    assert.equal(trials.length, 30);
    assert.ok(document.tasks[0]!.description[0]!.includes("devils-dictionary.txt (382,665 bytes)"));
    // Under 15 TFLOP in all: two cores at 50 GFLOP/s each need two and a half minutes.
    const flops = document.trials.reduce((sum, { candidate, task }) => {
      return sum + document.candidates[candidate]!.taskFlopsPerToken[task]! * document.tasks[task]!.tokens;
    }, 0);
    assert.ok(flops < 15e12, String(flops));
    // Attention costs more per token of the text's 128 than of recall's 48.
    const [text, recall] = document.candidates.at(-1)!.taskFlopsPerToken;
    assert.ok(text! > recall!, `${text}, ${recall}`);
  });
});
