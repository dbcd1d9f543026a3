// From the study file to definitions: budgets in whole steps, vocabularies from the tasks, refusals with their codes.
import assert from "node:assert/strict";
import { exitCodes, LayermixError } from "../../src/diag/diagnostic.js";
import { microBatchOf } from "../../src/search/define_trial.js";
import { type PreparedStudy, prepareStudy } from "../../src/search/prepare_study.js";
import { singleRunSpec } from "../../src/search/single_run.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import type { Spec } from "../../src/spec/spec.js";
import { trialTokens } from "../../src/study/trial.js";
import { tinyStudyText } from "../run/tiny_study.js";

const specOf = (text: string): Spec => parseStudy(text, { file: "study.yaml", folder: "." }).spec;
const prepare = (text: string): Promise<PreparedStudy> =>
  prepareStudy(specOf(text), { seed: 0, device: "cpu", version: "test" });
const refusal = (code: string, exitCode: number) => (error: unknown) => {
  assert.ok(error instanceof LayermixError);
  assert.equal(error.diagnostics[0]?.code, code);
  assert.equal(error.exitCode, exitCode);
  return true;
};

describe("preparing a study", () => {
  it("resolves every fraction of the run to steps", async () => {
    const { trials } = await prepare(
      tinyStudyText({ tokens: "10K", optimizer: "lr: 2e-3, warmup: 10%, minimum: 10%" }),
    );
    const { definition } = trials[0]!;
    assert.deepEqual(
      [definition.sequence, definition.batch, definition.microBatch, definition.steps],
      [32, 8, 8, 40],
    );
    assert.equal(trialTokens(definition), 40 * 256);
    assert.equal(definition.evaluateEverySteps, 10);
    assert.equal(definition.optimizer.totalSteps, 40);
    assert.equal(definition.optimizer.warmupSteps, 4);
    assert.equal(definition.optimizer.minimumLearningRate, 2e-4);
  });

  it("gives each task its own vocabulary and budget, and the proxy its own size", async () => {
    const text = tinyStudyText().replace(
      "tokens_to_copy: 8,",
      "tokens_to_copy: 8, sequence: 64, tokens: 20K,",
    );
    const { document, trials } = await prepare(text);
    const [recall, copy] = trials.map(({ definition }) => definition);
    assert.deepEqual([recall!.model.vocab, recall!.sequence, recall!.steps], [64, 32, 40]);
    assert.deepEqual([copy!.model.vocab, copy!.sequence, copy!.batch, copy!.steps], [16, 64, 4, 79]);
    assert.deepEqual([recall!.model.hidden, recall!.model.layers.length], [16, 4]);
    assert.deepEqual(
      document.candidates.map(({ name, pattern, proxy }) => [name, pattern, proxy.pattern]),
      [
        ["attention=0%", "M-M-M-M-", "M-M-"],
        ["attention=25%", "M-*-M*--", "M-*-"],
        ["attention=50%", "-*-**-*-", "-**-"],
      ],
    );
  });

  it("refuses a vocabulary below what a task needs", async () => {
    const text = tinyStudyText().replace(
      "model: { layers: 4, hidden: 16 }",
      "model: { layers: 4, hidden: 16, vocab: 20 }",
    );
    await assert.rejects(prepare(text), refusal("LMX4016", exitCodes.invalidFile));
  });

  it("refuses a study without a proxy", async () => {
    const text = tinyStudyText();
    const bare = text.slice(0, text.indexOf("proxy:"));
    await assert.rejects(prepare(bare), refusal("LMX4012", exitCodes.invalidFile));
  });

  it("takes a seeded sample where the strategy is random", async () => {
    const text = tinyStudyText().replace(
      "fill: mamba2",
      "fill: mamba2\n  strategy: { random: { trials: 2 } }",
    );
    const { document } = await prepare(text);
    assert.equal(document.candidates.length, 2);
    assert.deepEqual((await prepare(text)).document.candidates, document.candidates);
  });

  it("makes one run of the model itself for train, with the values of the command line", async () => {
    const single = singleRunSpec(specOf(tinyStudyText()), { task: "copy", tokens: 5_120, sequence: 64 });
    const { document, trials } = await prepareStudy(single, { seed: 3, device: "cpu", version: "test" });
    assert.equal(trials.length, 1);
    assert.equal(document.candidates[0]?.pattern, "M-M-M-M-");
    const { definition } = trials[0]!;
    assert.deepEqual(
      [definition.task.name, definition.seed, definition.sequence, definition.batch, definition.steps],
      ["copy", 3, 64, 4, 20],
    );
    assert.throws(
      () => singleRunSpec(specOf(tinyStudyText()), { task: "recal" }),
      refusal("LMX4018", exitCodes.usage),
    );
  });
});

describe("the micro-batch", () => {
  it("is the largest divisor of the batch within 8192 tokens", () => {
    assert.equal(microBatchOf(8, 32, 8_192), 8);
    assert.equal(microBatchOf(32, 512, 8_192), 16);
    assert.equal(microBatchOf(30, 512, 8_192), 15);
    assert.equal(microBatchOf(31, 512, 8_192), 1);
    assert.equal(microBatchOf(4, 16_384, 8_192), 1);
  });
});
