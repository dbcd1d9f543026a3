// layermix fidelity, run as a process on studies whose curves are closed forms.
import assert from "node:assert/strict";
import { join } from "node:path";
import { plainAccuracy, recordStudy } from "../study/recorded_study.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { layermix } from "./layermix.js";

describe("layermix fidelity", () => {
  const folder = useTemporaryFolder();

  it("says how short the runs may be: not below the share at which the order turns", async () => {
    await recordStudy(folder());
    const { code, stdout } = await layermix(["fidelity", folder(), "--by", "recall", "--json"]);
    assert.equal(code, 0);
    const [fidelity] = JSON.parse(stdout).data.comparisons;
    // Ten evaluations at 10%, 20% ... of the run; below 40% the order is reversed.
    assert.deepEqual(
      fidelity.rows.map((row: { share: number; kendall: { value: number } }) => [
        row.share,
        row.kendall.value,
      ]),
      [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].map((share) => [share, share < 0.4 ? -1 : 1]),
    );
    assert.equal(fidelity.shortest, 0.4);
    assert.deepEqual(fidelity.rows.at(-1).pairs, { same: 3, total: 3 });
    assert.equal(fidelity.noiseCeiling, 1);
    // 3 candidates x 3 seeds x 1 task, 40 steps of 256 tokens, 2 seconds each; half of that at 50%.
    const half = fidelity.rows[4];
    assert.deepEqual([half.tokens, half.seconds], [(9 * 40 * 256) / 2, 9]);
    // Best 0.8, chosen first at 10%: the worst, 0.4.
    assert.ok(Math.abs(fidelity.rows[0].regret[1].value - 0.4) < 1e-9);
  });

  it("takes another study as the truth, by the names of the candidates", async () => {
    const [small, large] = [join(folder(), "small"), join(folder(), "large")];
    await recordStudy(small);
    await recordStudy(large, {
      edit: (text) => text.replace("name: tiny", "name: large"),
      accuracy: (place) => 1 - plainAccuracy(place)!,
    });
    const { stdout } = await layermix(["fidelity", small, "--against", large, "--by", "recall", "--json"]);
    const [fidelity] = JSON.parse(stdout).data.comparisons;
    assert.deepEqual([fidelity.study, fidelity.against, fidelity.shortest], ["tiny", "large", null]);
    assert.equal(fidelity.rows.at(-1).kendall.value, -1);
  });

  it("tells another study of the same name from its own full runs", async () => {
    const [small, large] = [join(folder(), "small"), join(folder(), "large")];
    await recordStudy(small);
    await recordStudy(large);
    const { stdout } = await layermix(["fidelity", small, "--against", large, "--by", "recall"]);
    assert.match(stdout, /^tiny against the full runs of tiny, by recall: 3 candidates/);
    assert.doesNotMatch(stdout, /the same runs cut short/);
  });

  it("leaves out candidates that diverged, and refuses an order of two", async () => {
    await recordStudy(folder(), {
      accuracy: (place) => (place.candidate === 1 && place.seed === 1 ? Number.NaN : plainAccuracy(place)),
    });
    const { code, stderr } = await layermix(["fidelity", folder()]);
    assert.equal(code, 4);
    assert.match(
      stderr,
      /^error\[LMX7011\]: Expected at least 3 candidates with all trials done in .*, got 2/,
    );
  });

  it("prints a table, the rulers beside it and what it means", async () => {
    await recordStudy(folder());
    const { stdout } = await layermix(["fidelity", folder(), "--by", "recall"]);
    assert.match(stdout, /^tiny against its own full runs, by recall: 3 candidates, 3 seeds\n/);
    assert.match(stdout, /\n +40% .* 1\.00 .* 3\/3/);
    assert.match(stdout, /After twice the tokens, by extrapolation \(95%\):\n {2}attention=0%: /);
    assert.match(
      stdout,
      /From 40% of the run on \(36\.9 K tokens of 92\.2 K\), tau stays at 0\.8 or above\./,
    );
  });
});
