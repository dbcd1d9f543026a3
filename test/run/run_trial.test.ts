// A trial gives the same bytes however it is interrupted: stopped between any two steps, its checkpoint damaged, its
// metrics torn, its process gone without a word. The oracle is the run that nothing happened to.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClaimHold } from "../../src/run/claim_hold.js";
import { DeviceMemory } from "../../src/run/fit_trainer.js";
import { loadNative } from "../../src/run/load_native.js";
import type { NativeBatch } from "../../src/run/native.js";
import { runTrial } from "../../src/run/run_trial.js";
import type { FromWorker, TrialEnd } from "../../src/run/worker_messages.js";
import { endClaim, tryClaim } from "../../src/study/claim.js";
import { type MetricsLine, readMetrics } from "../../src/study/metrics_log.js";
import type { TrialResult } from "../../src/study/outcome.js";
import { identifyProcess } from "../../src/study/process_identity.js";
import { readRung } from "../../src/study/rung.js";
import { studyLayout, trialLayout } from "../../src/study/study_layout.js";
import type { TrialFile } from "../../src/study/trial.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { createTiny, type TinyOptions } from "./tiny_study.js";

interface Part {
  readonly end: TrialEnd;
  readonly messages: readonly FromWorker[];
}

/**
 * Runs a trial in this process until it ends, or until step `stopAt`. Where steps are watched they are taken one by one; otherwise
 * as many at a time as in a sweep, so that comparing the two compares that too.
 */
async function runPart(
  trialFolder: string,
  file: TrialFile,
  options: {
    stopAt?: number;
    threads?: number;
    checkpointSeconds?: number;
    keep?: boolean;
    onStep?: (step: number) => void;
    until?: number;
    stepsPerCall?: number;
  } = {},
): Promise<Part> {
  const claim = tryClaim(trialLayout.claims(trialFolder), identifyProcess());
  assert.ok(claim, "the trial is free");
  const stop = new AbortController();
  const messages: FromWorker[] = [];
  const native = loadNative();
  const {
    stopAt = Number.POSITIVE_INFINITY,
    threads = 1,
    checkpointSeconds = 1e9,
    keep = false,
    until,
    stepsPerCall = options.stopAt === undefined && options.onStep === undefined ? undefined : 1,
  } = options;
  const hold = new ClaimHold(claim);
  try {
    const end = await runTrial({
      native: stepping(native, (step) => {
        options.onStep?.(step);
        if (step >= stopAt) stop.abort();
      }),
      memory: new DeviceMemory(),
      trialFolder,
      file,
      until: until ?? file.definition.steps,
      ...(stepsPerCall === undefined ? {} : { stepsPerCall }),
      hold,
      stop: stop.signal,
      order: { device: "cpu", threads, checkpointSeconds, keepCheckpoints: keep },
      report: (message) => messages.push(message),
    });
    return { end, messages };
  } finally {
    hold.drop();
  }
}

/** The real library, whose trainers tell after each step which one it was. */
function stepping(
  native: ReturnType<typeof loadNative>,
  onStep: (step: number) => void,
): ReturnType<typeof loadNative> {
  class Trainer extends native.Trainer {
    override async train(batches: readonly NativeBatch[]) {
      const results = await super.train(batches);
      for (const { step } of results) onStep(step);
      return results;
    }
  }
  return { Trainer, planMemory: native.planMemory, info: native.info };
}

describe("a trial", () => {
  const folder = useTemporaryFolder();

  /** The study, the folder of one of its trials, and the bytes of an undisturbed run of it. */
  async function prepare(options: TinyOptions = {}) {
    const calm = join(folder(), "calm");
    const rough = join(folder(), "rough");
    const file = (await createTiny(calm, options)).trials[0]!;
    await createTiny(rough, options);
    const calmTrial = studyLayout.trial(calm, file.id);
    const { end } = await runPart(calmTrial, file);
    const bytes = (trial: string): { metrics: string; result: string } => ({
      metrics: readFileSync(trialLayout.metrics(trial), "utf8"),
      result: readFileSync(trialLayout.result(trial), "utf8"),
    });
    return {
      file,
      end,
      trial: studyLayout.trial(rough, file.id),
      calmTrial,
      bytes,
      expected: bytes(calmTrial),
    };
  }

  it("logs every step with full precision, evaluates on time, and publishes its figures", async () => {
    const { file, end, calmTrial, expected } = await prepare();
    const { steps, evaluateEverySteps } = file.definition;
    assert.equal(end, "done");
    const lines = readMetrics(trialLayout.metrics(calmTrial));
    const trained = lines.filter((line) => "loss" in line);
    assert.deepEqual(
      trained.map((line) => line.step),
      Array.from({ length: steps }, (_, i) => i + 1),
    );
    assert.equal(steps, 40);
    assert.equal(evaluateEverySteps, 10);
    assert.deepEqual(
      lines.filter((line) => "eval" in line).map((line) => line.step),
      [10, 20, 30, 40],
    );
    const result = JSON.parse(expected.result) as TrialResult;
    assert.equal(result.status, "done");
    assert.equal(result.tokens, steps * 256);
    assert.deepEqual(result.metrics, (lines.at(-1) as { eval: unknown }).eval);
    // Learning rate: warmup from above zero to the peak, then cosine downwards.
    const rates = trained.map((line) => (line as { learningRate: number }).learningRate);
    assert.equal(Math.max(...rates), 1e-3);
    assert.ok(rates.at(-1)! < 2e-4);
    assert.deepEqual(readdirSync(calmTrial).sort(), [
      "claims",
      "metrics.jsonl",
      "result.json",
      "timing.json",
      "trial.json",
    ]);
  });

  it("learns: the loss falls", async () => {
    const { calmTrial } = await prepare({ tokens: "30K", optimizer: "lr: 1e-2" });
    const losses = readMetrics(trialLayout.metrics(calmTrial)).flatMap((line) =>
      "loss" in line ? [line.loss!] : [],
    );
    const mean = (part: number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
    assert.ok(mean(losses.slice(-20)) < mean(losses.slice(0, 20)) - 0.3, `${losses[0]} to ${losses.at(-1)}`);
  });

  it("stopped again and again, also right at an evaluation, equals the undisturbed run bit for bit", async () => {
    const { file, trial, bytes, expected } = await prepare();
    const stops = [1, 2, 9, 10, 11, 20, 30, 39, 40];
    for (const stopAt of stops) {
      const part = await runPart(trial, file, { stopAt });
      assert.equal(part.end, "released", `stopped at step ${stopAt}`);
    }
    const last = await runPart(trial, file);
    assert.equal(last.end, "done");
    assert.deepEqual(last.messages[0], { kind: "claimed", id: file.id, step: 40 });
    assert.deepEqual(bytes(trial), expected);
  });

  it("paused at rungs, and gone on from there, equals the undisturbed run bit for bit", async () => {
    const { file, trial, bytes, expected } = await prepare();
    const full = JSON.parse(expected.result) as TrialResult;
    for (const until of [10, 20]) {
      const part = await runPart(trial, file, { until });
      assert.equal(part.end, "paused");
      assert.equal(existsSync(trialLayout.result(trial)), false);
      const { step, tokens, metrics } = readRung(trial, until)!;
      assert.deepEqual([step, tokens], [until, until * 256]);
      assert.deepEqual(metrics, full.evaluations.find((evaluation) => evaluation.step === until)?.metrics);
    }
    const last = await runPart(trial, file);
    assert.deepEqual(last.messages[0], { kind: "claimed", id: file.id, step: 20 });
    assert.deepEqual(bytes(trial), expected);
  });

  it("publishes a rung it has passed already, and does not train for it", async () => {
    const { file, trial } = await prepare();
    await runPart(trial, file, { stopAt: 25 });
    const steps: number[] = [];
    const part = await runPart(trial, file, { until: 20, onStep: (step) => steps.push(step) });
    assert.deepEqual([part.end, steps, readRung(trial, 20)?.step], ["paused", [], 20]);
  });

  it("dead between its checkpoint and the rung's file, has lost nothing", async () => {
    const { file, trial, bytes, expected } = await prepare();
    await runPart(trial, file, { until: 10 });
    const rung = readFileSync(trialLayout.rung(trial, 10), "utf8");
    rmSync(trialLayout.rung(trial, 10));
    const steps: number[] = [];
    assert.equal(
      (await runPart(trial, file, { until: 10, onStep: (step) => steps.push(step) })).end,
      "paused",
    );
    assert.deepEqual([steps, readFileSync(trialLayout.rung(trial, 10), "utf8")], [[], rung]);
    await runPart(trial, file);
    assert.deepEqual(bytes(trial), expected);
  });

  it("is independent of the number of threads", async () => {
    const { file, trial, bytes, expected } = await prepare();
    await runPart(trial, file, { threads: 2, stopAt: 15 });
    await runPart(trial, file, { threads: 3 });
    assert.deepEqual(bytes(trial), expected);
  });

  it("goes on from the last checkpoint after a death without a word", async () => {
    const { file, trial, bytes, expected } = await prepare();
    await runPart(trial, file, { stopAt: 12 });
    const saved = readFileSync(trialLayout.checkpoint(trial));
    await runPart(trial, file, { stopAt: 25 });
    // What kill -9 at step 25 leaves, had the checkpoint of step 12 been the last: metrics ahead of it, one line torn.
    writeFileSync(trialLayout.checkpoint(trial), saved);
    writeFileSync(
      trialLayout.metrics(trial),
      `${readFileSync(trialLayout.metrics(trial), "utf8")}{"step":26,"tok`,
    );
    writeFileSync(`${trialLayout.checkpoint(trial)}.tmp-99999-0123456789ab`, "half a checkpoint");
    const last = await runPart(trial, file);
    assert.deepEqual(last.messages[0], { kind: "claimed", id: file.id, step: 12 });
    assert.deepEqual(bytes(trial), expected);
    assert.deepEqual(
      readdirSync(trial).filter((name) => name.includes("tmp")),
      [],
    );
  });

  it("never uses a damaged checkpoint: it takes the one before it, and without one it starts over", async () => {
    const { file, trial, bytes, expected } = await prepare();
    const checkpoint = trialLayout.checkpoint(trial);
    const damage: readonly (readonly [string, (good: Buffer) => Buffer])[] = [
      ["a flipped bit in the weights", (good) => flip(good, good.length - 5)],
      ["a flipped bit in the header", (good) => flip(good, 60)],
      ["cut short", (good) => good.subarray(0, good.length - 100)],
      ["empty", () => Buffer.alloc(0)],
    ];
    await runPart(trial, file, { stopAt: 8 });
    await runPart(trial, file, { stopAt: 16 });
    const good = readFileSync(checkpoint);
    const before = readFileSync(trialLayout.previousCheckpoint(trial));
    const metrics = readFileSync(trialLayout.metrics(trial));
    for (const [what, harm] of damage) {
      writeFileSync(checkpoint, harm(good));
      writeFileSync(trialLayout.previousCheckpoint(trial), before);
      writeFileSync(trialLayout.metrics(trial), metrics);
      const part = await runPart(trial, file, { stopAt: 17 });
      assert.deepEqual(part.messages[0], { kind: "claimed", id: file.id, step: 8 }, what);
    }
    writeFileSync(checkpoint, flip(good, good.length - 5));
    writeFileSync(trialLayout.previousCheckpoint(trial), flip(before, before.length - 5));
    const last = await runPart(trial, file);
    assert.deepEqual(last.messages[0], { kind: "claimed", id: file.id, step: 0 });
    assert.deepEqual(bytes(trial), expected);
  });

  it("does not believe a checkpoint whose metrics are gone", async () => {
    const { file, trial, bytes, expected } = await prepare();
    await runPart(trial, file, { stopAt: 12 });
    const lines = readFileSync(trialLayout.metrics(trial), "utf8");
    writeFileSync(trialLayout.metrics(trial), lines.slice(0, -10));
    const last = await runPart(trial, file);
    assert.deepEqual(last.messages[0], { kind: "claimed", id: file.id, step: 0 });
    assert.deepEqual(bytes(trial), expected);
  });

  it("between the two renames of a save still has the checkpoint before", async () => {
    const { file, trial, bytes, expected } = await prepare();
    await runPart(trial, file, { stopAt: 12 });
    renameSync(trialLayout.checkpoint(trial), trialLayout.previousCheckpoint(trial));
    const last = await runPart(trial, file);
    assert.deepEqual(last.messages[0], { kind: "claimed", id: file.id, step: 12 });
    assert.deepEqual(bytes(trial), expected);
  });

  it("saves on the clock without a trace in its metrics, and keeps the checkpoint where asked", async () => {
    const { file, trial, bytes, expected } = await prepare({ tokens: "40K" });
    let savedAfter = 0;
    await runPart(trial, file, {
      checkpointSeconds: 0.01,
      keep: true,
      onStep: (step) => {
        if (savedAfter === 0 && existsSync(trialLayout.checkpoint(trial))) savedAfter = step;
      },
    });
    assert.ok(savedAfter > 0 && savedAfter < file.definition.steps, "a checkpoint appeared while it ran");
    assert.ok(existsSync(trialLayout.checkpoint(trial)));
    assert.deepEqual(bytes(trial), expected);
  });

  it("given up for dead, stops writing and leaves the trial to its successor", async () => {
    const { file, trial, bytes, expected } = await prepare();
    const claims = trialLayout.claims(trial);
    const part = await runPart(trial, file, {
      onStep: (step) => {
        if (step === 5) endClaim(claims, 1, "silent");
      },
    });
    assert.equal(part.end, "lost");
    assert.equal(existsSync(trialLayout.result(trial)), false);
    assert.equal((await runPart(trial, file)).end, "done");
    assert.deepEqual(bytes(trial), expected);
  });

  it("whose loss or gradient is no longer a number has diverged: that is its result, in valid JSON", async () => {
    const { end, calmTrial, expected } = await prepare({ optimizer: "lr: 10, weight_decay: 100" });
    assert.equal(end, "diverged");
    const result = JSON.parse(expected.result) as TrialResult;
    assert.equal(result.status, "diverged");
    assert.equal(result.metrics, undefined);
    const lines = readMetrics(trialLayout.metrics(calmTrial));
    const last = lines.at(-1) as Extract<MetricsLine, { loss: unknown }>;
    assert.equal(last.step, result.steps);
    assert.ok(last.loss === null || last.gradNorm === null);
    assert.ok(result.steps < 40);
    assert.equal(existsSync(trialLayout.checkpoint(calmTrial)), false, "none was due");
  });

  it("that has diverged keeps its last checkpoint from before, also where checkpoints are kept to the end", async () => {
    for (const keep of [false, true]) {
      const { file, trial } = await prepare({ optimizer: "lr: 10, weight_decay: 100" });
      await runPart(trial, file, { stopAt: 2 });
      const saved = readFileSync(trialLayout.checkpoint(trial));
      assert.equal((await runPart(trial, file, { keep })).end, "diverged");
      assert.deepEqual(readFileSync(trialLayout.checkpoint(trial)), saved);
    }
  });

  it("is the same however many steps are taken at once, to its end and where it diverges", async () => {
    for (const optimizer of ["lr: 1e-3", "lr: 10, weight_decay: 100"]) {
      for (const stepsPerCall of [1, 7, 64]) {
        const { file, trial, bytes, expected } = await prepare({ optimizer });
        await runPart(trial, file, { stepsPerCall });
        assert.deepEqual(bytes(trial), expected, `${optimizer}, ${stepsPerCall} at once`);
        rmSync(folder(), { recursive: true });
      }
    }
  });

  it("refuses data other than those it was defined with", async () => {
    const { file, trial } = await prepare();
    const other = {
      ...file,
      definition: { ...file.definition, task: { ...file.definition.task, identity: { changed: true } } },
    };
    await assert.rejects(runPart(trial, other), /LMX4008/);
  });
});

function flip(good: Buffer, at: number): Buffer {
  const copy = Buffer.from(good);
  copy[at] = copy[at]! ^ 4;
  return copy;
}
