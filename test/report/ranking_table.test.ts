import assert from "node:assert/strict";
import { rank } from "../../src/rank/rank.js";
import { conclusions } from "../../src/report/conclusion.js";
import { rankingCsv } from "../../src/report/ranking_csv.js";
import { renderRanking } from "../../src/report/ranking_table.js";
import { exampleInput, exampleRanking } from "./example_ranking.js";

const plain = { width: 100, color: false };

describe("renderRanking", () => {
  it("shows ranks, intervals, ties, every task, size and cost, what is missing, and what it means", () => {
    assert.equal(
      renderRanking(exampleRanking(), { ...plain, width: 120 }),
      `rank  candidate               score  ties  text bits/byte  recall accuracy  params  FLOPs/token  pattern
---------------------------------------------------------------------------------------------------------
  1=  attention=25%    56.99 ± 1.27  a      2.503 ± 0.038      96.3% ± 2.9   229 K       1.50 M  M-*-M*--
  1=  attention=12.5%  56.84 ± 1.17  a      2.500 ± 0.025      96.0% ± 2.5   240 K       1.50 M  M-M-*-M-
   3  attention=0%     18.94 ± 0.59  b      2.510 ± 0.025      20.3% ± 1.4   252 K       1.50 M  M-M-M-M-
   4  attention=50%          failed         2.605 ± 0.064      90.0% ± 0.0   217 K       1.50 M  -*-**-*-

score = 100 x (2^-(text bits/byte) + recall accuracy) / 2
± is half the 95% interval of the mean over 3 seeds
candidates that share a letter are tied (paired t-test over seeds, Holm's correction, 95%)

22 of 24 trials done
attention=50%: recall diverged with seed 2
attention=50%: 1 of 6 trials not run to the end yet

attention=25% and attention=12.5% are tied for first; every other candidate is behind attention=25% (3 seeds, 95%).
On text no two candidates can be told apart (95%).
On recall every other candidate beats attention=0% (95%).
Chosen without training, the first would be worse by 38.04 (most parameters), 12.73 (most FLOPs), 12.73 (any at random).`,
    );
  });

  it("leaves out the least important columns where the terminal is narrow, never the ranking", () => {
    const widths = [120, 100, 90, 80].map((width) => {
      const [header, ...lines] = renderRanking(exampleRanking(), { ...plain, width }).split("\n");
      assert.ok(lines.slice(0, 5).every((line) => line.length <= width));
      return header!
        .trim()
        .split(/\s{2,}/)
        .slice(6);
    });
    assert.deepEqual(widths, [
      ["params", "FLOPs/token", "pattern"],
      ["params", "FLOPs/token"],
      ["params"],
      [],
    ]);
  });

  it("colours only when asked", () => {
    assert.ok(!renderRanking(exampleRanking(), plain).includes("\u001b"));
    const colored = renderRanking(exampleRanking(), { width: 120, color: true });
    assert.ok(colored.includes("\u001b[32mattention=25%"));
    assert.ok(colored.includes("\u001b[31mattention=50%"));
  });

  it("shows training speed where it was measured", () => {
    const tokensPerSecond = new Map([["attention=25%", 12_345.6]]);
    const text = renderRanking(exampleRanking(), { width: 140, color: false, tokensPerSecond });
    assert.match(text, /attention=25% .* 12,346 {2}M-\*-M\*--\n/);
  });

  it("ranks by a task in the task's own unit", () => {
    const text = renderRanking(rank({ ...exampleInput(), by: "text" }), plain);
    assert.match(text, /^rank {2}candidate +text \(lower is better\)/);
    assert.match(text, / 1= {2}attention=12.5% +2\.500 ± 0\.025 /);
  });

  it("keeps control characters of a name away from the terminal", () => {
    const input = exampleInput();
    const rename = (name: string) => (name === "attention=0%" ? "a\u001b[2Jb" : name);
    const hostile = rank({
      ...input,
      candidates: input.candidates.map((entry) => ({ ...entry, name: rename(entry.name) })),
      outcomes: input.outcomes.map((entry) => ({ ...entry, candidate: rename(entry.candidate) })),
    });
    assert.ok(!renderRanking(hostile, plain).includes("\u001b"));
  });
});

describe("conclusions", () => {
  it("say no more than the tests carry", () => {
    assert.deepEqual(conclusions(exampleRanking()), [
      "attention=25% and attention=12.5% are tied for first; every other candidate is behind attention=25% (3 seeds, 95%).",
      "On text no two candidates can be told apart (95%).",
      "On recall every other candidate beats attention=0% (95%).",
    ]);
  });

  it("are silent about a single seed", () => {
    assert.deepEqual(conclusions(rank({ ...exampleInput(), seeds: [0] })), []);
  });
});

describe("rankingCsv", () => {
  it("has one row per candidate, plain numbers, empty cells where nothing is known", () => {
    const [header, first, , , failed, end] = rankingCsv(exampleRanking()).split("\n");
    assert.equal(
      header,
      "rank,candidate,state,score,score_low,score_high,tied_with," +
        "text_bitsPerByte,text_bitsPerByte_low,text_bitsPerByte_high," +
        "recall_accuracy,recall_accuracy_low,recall_accuracy_high," +
        "params,flops_per_token,pattern,proxy_params,proxy_flops_per_token,proxy_pattern,problems",
    );
    assert.match(first!, /^1,attention=25%,complete,56\.9\d+,[\d.]+,[\d.]+,attention=12\.5%,2\.50\d+,/);
    assert.match(failed!, /^4,attention=50%,failed,,,,,2\.605,/);
    assert.match(failed!, /,'-\*-\*\*-\*-,217080,1500000,'-\*-\*\*-\*-,recall diverged with seed 2; 1 of 6/);
    assert.equal(end, "");
  });
});
