// Where memory does not suffice, a trial goes on with half the micro-batch at the same tokens per step, says so, and
// keeps to it. The memory limit is the library's own (LAYERMIX_MEMORY_LIMIT): the same path as a device that is full.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { ClaimHold } from "../../src/run/claim_hold.js";
import { DeviceMemory } from "../../src/run/fit_trainer.js";
import { loadNative } from "../../src/run/load_native.js";
import type { NativeLibrary, NativeTrainerConfig } from "../../src/run/native.js";
import { runTrial } from "../../src/run/run_trial.js";
import { endClaim, tryClaim } from "../../src/study/claim.js";
import { isEvaluation, readMetrics, type TrainLine } from "../../src/study/metrics_log.js";
import type { TrialResult } from "../../src/study/outcome.js";
import { identifyProcess } from "../../src/study/process_identity.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import type { TrialFile } from "../../src/study/trial.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { createTiny } from "./tiny_study.js";

const variable = "LAYERMIX_MEMORY_LIMIT";

interface Trial {
  readonly path: string;
  readonly file: TrialFile;
}

describe("a trial that does not fit into memory", () => {
  const folder = useTemporaryFolder();
  afterEach(() => delete process.env[variable]);

  async function trial(name: string): Promise<Trial> {
    const at = `${folder()}/${name}`;
    const { document } = await createTiny(at, { tokens: "4K", seeds: 1 });
    const path = studyLayout.trial(at, document.trials[0]!.id);
    return { path, file: JSON.parse(readFileSync(trialLayout.definition(path), "utf8")) as TrialFile };
  }

  /** Bytes of the trial's trainer with this micro-batch. */
  function bytes({ file }: Trial, microBatch: number): number {
    const config = { ...file.definition, microBatch, device: "cpu", threads: 1 } as NativeTrainerConfig;
    return loadNative().planMemory(config).total;
  }

  async function run(at: Trial, stopAt = 1e9): Promise<string> {
    const claim = tryClaim(trialLayout.claims(at.path), identifyProcess());
    assert.ok(claim);
    const hold = new ClaimHold(claim);
    const stop = new AbortController();
    try {
      return await runTrial({
        native: loadNative(),
        memory: new DeviceMemory(),
        trialFolder: at.path,
        file: at.file,
        until: at.file.definition.steps,
        hold,
        stop: stop.signal,
        order: { device: "cpu", threads: 1, checkpointSeconds: 1e9, keepCheckpoints: false },
        report: (message) => {
          if (message.kind === "progress" && message.step >= stopAt) stop.abort();
        },
      });
    } finally {
      hold.drop();
    }
  }

  const resultOf = (path: string): TrialResult => JSON.parse(readFileSync(trialLayout.result(path), "utf8"));
  const stepsOf = (path: string): TrainLine[] =>
    readMetrics(trialLayout.metrics(path)).filter((line): line is TrainLine => !isEvaluation(line));

  it("takes half the micro-batch at the same tokens per step, and its losses hardly move", async () => {
    const whole = await trial("whole");
    const half = await trial("half");
    const { microBatch, batch, sequence } = whole.file.definition;
    assert.equal(microBatch, 8);
    assert.equal(await run(whole), "done");
    process.env[variable] = String(bytes(half, 4));
    assert.equal(await run(half), "done");

    assert.equal(resultOf(whole.path).microBatch, undefined);
    const numbers = { metrics: 0, evaluations: 0, log: 0, checksum: 0 }; // they say what was learned, to the last bit
    assert.deepEqual(
      { ...resultOf(half.path), ...numbers },
      { ...resultOf(whole.path), microBatch: 4, ...numbers },
    );
    const expected = stepsOf(whole.path);
    const steps = stepsOf(half.path);
    assert.equal(steps.length, expected.length);
    for (const [index, line] of steps.entries()) {
      assert.equal(line.microBatch, 4);
      assert.equal(line.tokens, (index + 1) * batch * sequence);
      assert.ok(Math.abs(line.loss! - expected[index]!.loss!) < 1e-4, `step ${line.step}: ${line.loss}`);
    }
    const record = JSON.parse(readFileSync(trialLayout.microBatch(half.path), "utf8"));
    assert.deepEqual(
      { ...record, format: 0, checksum: 0 },
      {
        format: 0,
        checksum: 0,
        microBatch: 4,
        instead: 8,
        because: `out of memory: asked for ${bytes(half, 8)} bytes, ${bytes(half, 4)} free`,
      },
    );
  });

  it("keeps to it when it is resumed where there is room again: the same bits", async () => {
    const straight = await trial("straight");
    const resumed = await trial("resumed");
    process.env[variable] = String(bytes(straight, 4));
    assert.equal(await run(straight), "done");
    assert.equal(await run(resumed, 3), "released");
    delete process.env[variable];
    assert.equal(await run(resumed), "done");
    for (const file of [trialLayout.metrics, trialLayout.result]) {
      assert.equal(readFileSync(file(resumed.path), "utf8"), readFileSync(file(straight.path), "utf8"));
    }
  });

  describe("where it does not fit beside the other trials of its process", () => {
    /** The library of a device with room for one trainer. */
    function crowded(): NativeLibrary {
      const native = loadNative();
      let inside = 0;
      class Trainer extends native.Trainer {
        constructor(asked: NativeTrainerConfig) {
          if (inside > 0) throw Object.assign(new Error("full"), { code: "out_of_memory" });
          super(asked);
          inside++;
        }
        override dispose(): void {
          inside--;
          super.dispose();
        }
      }
      return { ...native, Trainer };
    }
    const configOf = ({ file }: Trial): NativeTrainerConfig =>
      ({ ...file.definition, device: "cpu", threads: 1 }) as NativeTrainerConfig;
    const never = new AbortController().signal;

    it("waits for them, and is not made smaller", async () => {
      const one = await trial("one");
      const other = await trial("other");
      const native = crowded();
      const memory = new DeviceMemory();
      const first = await memory.fit(native, configOf(one), one.path, never);
      const second = memory.fit(native, configOf(other), other.path, never);
      assert.equal(await Promise.race([second, Promise.resolve("waits")]), "waits");
      memory.free(first!.trainer);
      const fitted = await second;
      assert.equal(fitted!.microBatch, undefined);
      assert.equal(existsSync(trialLayout.microBatch(other.path)), false);
      memory.free(fitted!.trainer);
    });

    it("is given back when it is asked to stop while it waits", async () => {
      const at = await trial("stopped");
      const stop = new AbortController();
      const { ended, claim } = await startBehindAnother(at, stop.signal);
      stop.abort();
      assert.equal(await ended, "released");
      assert.equal(claim.beat(), false, "others may have it");
      assert.deepEqual(stepsOf(at.path), []);
    });

    it("leaves it to whoever has taken over its claim while it waited", async () => {
      const at = await trial("taken");
      const { ended, claim } = await startBehindAnother(at, never);
      endClaim(trialLayout.claims(at.path), claim.generation, "silent");
      assert.ok(tryClaim(trialLayout.claims(at.path), { ...identifyProcess(), host: "another-machine" }));
      assert.equal(await ended, "lost");
    });

    /** Starts the trial on a device whose memory another trainer holds for good. */
    async function startBehindAnother(at: Trial, stop: AbortSignal) {
      const native = crowded();
      const memory = new DeviceMemory();
      await memory.fit(native, configOf(at), at.path, never);
      const claim = tryClaim(trialLayout.claims(at.path), identifyProcess())!;
      const hold = new ClaimHold(claim);
      const order = { device: "cpu", threads: 1, checkpointSeconds: 1e9, keepCheckpoints: false };
      const until = at.file.definition.steps;
      const run = {
        native,
        memory,
        trialFolder: at.path,
        file: at.file,
        until,
        hold,
        stop,
        order,
        report: () => {},
      };
      const ended = runTrial(run).finally(() => hold.drop());
      await setImmediate();
      return { ended, claim };
    }
  });

  it("fails with the bytes asked and free where half does not fit either", async () => {
    const at = await trial("none");
    process.env[variable] = "1000";
    await assert.rejects(run(at), {
      code: "out_of_memory",
      message: `out of memory: asked for ${bytes(at, 4)} bytes, 1000 free`,
    });
  });

  it("refuses a limit that is no number of bytes", async () => {
    const at = await trial("nonsense");
    process.env[variable] = "2GB";
    await assert.rejects(run(at), /expected LAYERMIX_MEMORY_LIMIT to be a number of bytes, got 2GB/);
  });
});
