// What a log of a sweep says, with the clock passed in.
import assert from "node:assert/strict";
import { SweepReporter } from "../../../src/cli/progress/sweep_reporter.js";
import { prepareTiny } from "../../run/tiny_study.js";

describe("the log of a sweep", () => {
  it("says where the whole stands when a minute has passed without another line", async () => {
    const { document, trials } = await prepareTiny({ tokens: "10K" });
    const lines: string[] = [];
    let now = 1000;
    const note = (text: string) => lines.push(text);
    const reporter = new SweepReporter({ document, trials }, { interactive: false, note, now: () => now });
    const [first] = trials.map(({ id }) => id);
    const reach = (step: number) =>
      reporter.apply({ kind: "progress", id: first!, step, loss: 3, tokensPerSecond: 100 });
    reporter.apply({ kind: "claimed", id: first!, step: 0 });
    now += 59;
    reach(10);
    assert.deepEqual(lines, []);
    now += 1;
    reach(12); // 12 of 480 steps in a minute: the 468 others take 39
    reach(13);
    assert.deepEqual(lines, ["2% of the tokens, 0/12 trials, about 39:00 to go"]);
    now += 50;
    reporter.say("something else");
    now += 50;
    reach(20);
    assert.deepEqual(lines.slice(1), ["something else"]);
    now += 10;
    reach(24); // 24 of 480 steps in 170 seconds
    assert.deepEqual(lines.slice(2), ["5% of the tokens, 0/12 trials, about 53:50 to go"]);
  });
});
