// The live display as text, with the clock passed in.
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { clockTime } from "../../../src/cli/progress/clock_time.js";
import { LiveDisplay } from "../../../src/cli/progress/live_display.js";
import { SweepProgress } from "../../../src/cli/progress/sweep_progress.js";
import type { TrialOutcome } from "../../../src/study/outcome.js";
import { prepareTiny } from "../../run/tiny_study.js";

describe("the progress of a sweep", () => {
  /** Twelve trials of 40 steps and 10,240 tokens. */
  async function begin() {
    const { document, trials } = await prepareTiny({ tokens: "10K" });
    return { progress: new SweepProgress(document, trials), ids: trials.map(({ id }) => id) };
  }
  const settled = (id: string) =>
    ({
      kind: "settled",
      job: { id, until: 40 },
      status: { id, state: "done", outcome: { state: "done" } as unknown as TrialOutcome },
    }) as const;

  it("begins empty", async () => {
    const { progress } = await begin();
    assert.deepEqual(progress.lines(0, 100), ["[                        ]   0%  0/12 trials"]);
  });

  it("has a line for every running trial, and one for all", async () => {
    const { progress, ids } = await begin();
    progress.apply({ kind: "claimed", id: ids[0]!, step: 0 }, 100);
    progress.apply({ kind: "claimed", id: ids[3]!, step: 0 }, 100);
    progress.apply({ kind: "progress", id: ids[0]!, step: 20, loss: 3.25, tokensPerSecond: 2_560 }, 102);
    progress.apply({ kind: "progress", id: ids[3]!, step: 5, loss: null, tokensPerSecond: 640 }, 102);
    // 25 of 480 steps in 2 seconds: the 455 others take 36.4.
    assert.deepEqual(progress.lines(102, 100), [
      "  attention=0%   recall  seed 0  step 20/40  loss 3.2500  2.56 K tok/s  eta 0:02",
      "  attention=25%  copy    seed 0  step  5/40  loss -       640 tok/s     eta 0:14",
      "[=                       ]   5%  0/12 trials  eta 0:36",
    ]);
  });

  it("counts trials that were there already as done, and does not take them for speed", async () => {
    const { progress, ids } = await begin();
    for (const id of ids.slice(0, 6)) progress.apply(settled(id), 10);
    assert.deepEqual(progress.lines(10, 100), ["[============            ]  50%  6/12 trials"]);
    assert.equal(progress.etaSeconds(10), undefined);
    progress.apply({ kind: "claimed", id: ids[6]!, step: 20 }, 10);
    progress.apply({ kind: "progress", id: ids[6]!, step: 40, loss: 1, tokensPerSecond: 1 }, 20);
    // 20 steps in 10 seconds; five trials of 40 steps are left.
    assert.equal(progress.etaSeconds(20), 100);
    progress.apply({ kind: "ended", id: ids[6]!, how: "done" }, 20);
    progress.apply(settled(ids[6]!), 20);
    assert.equal(progress.etaSeconds(20), 100);
    assert.equal(progress.settled, 7);
  });

  it("forgets the steps of a worker that died", async () => {
    const { progress, ids } = await begin();
    progress.apply({ kind: "claimed", id: ids[0]!, step: 0 }, 0);
    progress.apply({ kind: "progress", id: ids[0]!, step: 10, loss: 1, tokensPerSecond: 1 }, 5);
    progress.apply({ kind: "died", trial: ids[0]!, end: "SIGKILL" }, 5);
    assert.match(progress.lines(5, 100)[0]!, /^\[ {24}\] {3}0% {2}0\/12/);
  });

  it("keeps to the width of the terminal", async () => {
    const { progress, ids } = await begin();
    progress.apply({ kind: "claimed", id: ids[0]!, step: 0 }, 0);
    for (const line of progress.lines(0, 40)) assert.ok(line.length <= 40);
  });
});

describe("a time on the clock", () => {
  it("is read at a glance", () => {
    assert.deepEqual([0, 41.4, 725, 11_250, undefined, Number.POSITIVE_INFINITY].map(clockTime), [
      "0:00",
      "0:41",
      "12:05",
      "3:07:30",
      "-",
      "-",
    ]);
  });
});

describe("the live display", () => {
  it("redraws in place, lets other lines scroll above, and leaves nothing behind", () => {
    let written = "";
    const terminal = Object.assign(
      new Writable({
        write(chunk, _, done) {
          written += chunk;
          done();
        },
      }),
      { isTTY: true, columns: 60 },
    );
    const display = new LiveDisplay(terminal as never, (width) => ["running", `width ${width}`]);
    display.print("first");
    display.print("second");
    display.close();
    const clear = "\u001b[2A\r\u001b[J";
    assert.equal(written, `first\nrunning\nwidth 59\n${clear}second\nrunning\nwidth 59\n${clear}`);
  });
});
