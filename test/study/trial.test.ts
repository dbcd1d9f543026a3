// Identity of trials: what changes the computation changes the id; what does not, does not.
import assert from "node:assert/strict";
import { type PreparedStudy, prepareStudy } from "../../src/search/prepare_study.js";
import { parseStudy } from "../../src/spec/parse_study.js";
import { distinctTrials } from "../../src/study/study_document.js";
import { trialId } from "../../src/study/trial.js";
import { tinyStudyText } from "../run/tiny_study.js";

const prepare = async (
  change: (text: string) => string = (text) => text,
  seed = 0,
): Promise<PreparedStudy> => {
  const text = change(tinyStudyText());
  const { spec } = parseStudy(text, { file: "study.yaml", folder: "." });
  return prepareStudy(spec, { seed, device: "cpu", version: "test" });
};
const idsOf = async (change?: (text: string) => string, seed?: number): Promise<string[]> =>
  distinctTrials((await prepare(change, seed)).document);
const replace = (from: string, to: string) => (text: string) => {
  assert.ok(text.includes(from), `the study contains ${from}`);
  return text.replace(from, to);
};
const common = (a: readonly string[], b: readonly string[]): number =>
  a.filter((id) => b.includes(id)).length;

describe("the trials of a study", () => {
  it("are candidates x tasks x seeds, all candidates of a seed before the next seed", async () => {
    const { document, trials } = await prepare();
    assert.equal(trials.length, 3 * 2 * 2);
    assert.deepEqual(
      document.trials.map(({ candidate, task, seed }) => `${seed}${candidate}${task}`),
      ["000", "001", "010", "011", "020", "021", "100", "101", "110", "111", "120", "121"],
    );
    for (const { id, definition } of trials) {
      assert.equal(id, trialId(definition));
      assert.match(id, /^[0-9a-f]{16}$/);
    }
  });

  it("keep their ids through everything that does not change what runs", async () => {
    const ids = await idsOf();
    assert.deepEqual(await idsOf(), ids);
    for (const change of [
      replace("name: tiny", "name: another-name"),
      replace("layermix: 1", "# a comment\nlayermix: 1"),
      replace("pairs: 4,", "pairs: 4, weight: 3,"),
      (text: string) => `${text}rank: { by: loss, confidence: 90% }\n`,
      replace("vocab: 64\n", "vocab: 128\n"), // of the real model: the proxy's comes from its task
    ]) {
      assert.deepEqual(await idsOf(change), ids);
    }
  });

  it("keep theirs when others join: more seeds, more candidates, another task", async () => {
    const ids = await idsOf();
    assert.equal(common(ids, await idsOf(replace("seeds: 2", "seeds: 3"))), 12);
    assert.equal(common(ids, await idsOf(replace("[0%, 25%, 50%]", "[0%, 12.5%, 25%, 50%]"))), 12);
    assert.equal(common(ids, await idsOf(replace("[0%, 25%, 50%]", "[25%, 50%]"))), 8);
    const phonebook = "    - { task: phonebook, entries: 1, sequence: 64 }\n";
    assert.equal(common(ids, await idsOf((text) => text + phonebook)), 12);
  });

  it("get new ids from everything that changes a bit of the loss curve", async () => {
    const ids = await idsOf();
    for (const change of [
      replace("lr: 1e-3", "lr: 1.0000001e-3"),
      replace("lr: 1e-3", "lr: 1e-3, warmup: 10%"),
      replace("lr: 1e-3", "lr: 1e-3, clip: 0.5"),
      replace("tokens: 10K", "tokens: 11K"),
      replace("batch_tokens: 256", "batch_tokens: 512"),
      replace("hidden: 16", "hidden: 24"),
      replace("evaluate_every: 25%", "evaluate_every: 25%\n  init_std: 0.03"),
      replace("evaluate_every: 25%", "evaluate_every: 50%"),
    ]) {
      assert.equal(common(ids, await idsOf(change)), 0);
    }
    assert.equal(
      common(ids, await idsOf(replace("state: 8", "state: 16"))),
      4,
      "the pure attention candidate stays",
    );
    assert.equal(common(ids, await idsOf(replace("pairs: 4", "pairs: 5"))), 6, "the copy task stays");
    assert.equal(common(ids, await idsOf(undefined, 1)), 6, "seeds count up: 1, 2 share seed 1 with 0, 1");
    assert.equal(common(ids, await idsOf(undefined, 2)), 0);
  });

  it("have pairwise different ids", async () => {
    const { trials } = await prepare();
    assert.equal(new Set(trials.map(({ id }) => id)).size, trials.length);
  });
});
