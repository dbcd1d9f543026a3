// layermix project and hardware, as a user runs them.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { layermix } from "./layermix.js";
import { inTemporaryFolder } from "./temporary_folder.js";

const hybrid = "preset:mamba2-hybrid-8b";
const json = async (...args: string[]) => {
  const { code, stdout } = await layermix([...args, "--json"]);
  return { code, ...JSON.parse(stdout) };
};

describe("layermix project", () => {
  it("prints the promised fields, one entry per batch", async () => {
    const { code, data } = await json(
      ...["project", hybrid, "--contexts", "4K,128K", "--batch", "1,32", "--set", "project=null"],
    );
    assert.equal(code, 0);
    const batches = data.models.map(({ batch }: { batch: number }) => batch);
    assert.deepEqual(batches, [1, 32]);
    const [one] = data.models;
    assert.equal(one.name, "mamba2-hybrid-8b");
    assert.equal(one.hardware, "h200");
    assert.equal(one.kvBytesPerToken, 16_384);
    const contexts = one.points.map(({ context }: { context: number }) => context);
    assert.deepEqual(contexts, [4096, 131_072]);
    for (const point of one.points) {
      for (const key of [
        ...[
          "prefillSeconds",
          "decodeTokenSeconds",
          "tokensPerSecond",
          "weightBytes",
          "kvBytes",
          "stateBytes",
        ],
        ...["totalBytes", "maxBatch"],
      ]) {
        assert.ok(Number.isFinite(point[key]) && point[key] > 0, key);
      }
      assert.equal(point.fits, true);
      assert.equal(point.speedup, undefined);
    }
    assert.ok(one.assumptions.length > 3);
  });

  it("compares with a baseline: table, curve and crossover", async () => {
    const { code, stdout } = await layermix([
      ...["project", hybrid, "--baseline", "transformer-8b", "--contexts", "1K,8K,64K", "--breakdown"],
    ]);
    assert.equal(code, 0);
    for (const part of [
      /^mamba2-hybrid-8b on NVIDIA H200 SXM, batch 32\n/,
      /KV cache 16\.0 KiB per token \(bf16\), state 97\.4 MiB per sequence \(fp32\)/,
      /context .* token .* speed-up/,
      / 64K .*x\n/,
      /decode at 64K .*utilisation/,
      /speed-up of a decode step over transformer-8b, by context\n/,
      /[⠁-⣿]{5}/,
      /is faster than transformer-8b from \d+ tokens on/,
      /assumes: weights bf16/,
    ]) {
      assert.match(stdout, part);
    }
    assert.ok(
      stdout
        .split("\n")
        .slice(0, 6)
        .every((line) => line.length <= 120),
    );
  });

  it("draws with ASCII on a dumb terminal", async () => {
    const { stdout } = await layermix(
      ["project", hybrid, "--baseline", "transformer-8b", "--contexts", "1K,64K"],
      { env: { TERM: "dumb" } },
    );
    assert.match(stdout, /\*{4}/);
    assert.doesNotMatch(stdout, /[⠁-⣿┤└]/);
  });

  it("reads the project section of a study, relative to it, and its sweep", async () => {
    await inTemporaryFolder(async (folder) => {
      writeFileSync(
        join(folder, "base.yaml"),
        "name: base\nmodel: { pattern: '*-*-', hidden: 512, vocab: 1000 }\n",
      );
      writeFileSync(
        join(folder, "study.yaml"),
        `model: { layers: 8, hidden: 512, vocab: 1000, mix: { mamba2: 50%, mlp: 50% } }
sweep: { over: { mix.attention: [0%, 25%] }, fill: mamba2 }
project: { hardware: a100-80gb, contexts: [1K, 2K], batch: 4, baseline: base.yaml }
`,
      );
      const { code, data } = await json("project", join(folder, "study.yaml"));
      assert.equal(code, 0, JSON.stringify(data));
      const seen = data.models.map((m: Record<string, unknown>) => [m.name, m.hardware, m.batch, m.baseline]);
      assert.deepEqual(seen, [
        ["study", "a100-80gb", 4, "base"],
        ["attention=0%", "a100-80gb", 4, "base"],
        ["attention=25%", "a100-80gb", 4, "base"],
      ]);
      const { stdout } = await layermix(["project", join(folder, "study.yaml")]);
      assert.match(stdout, /candidates on NVIDIA A100 SXM 80 GB, batch 4\ncandidate .*token at 1K/);
    });
  });

  it("writes the curve as an SVG that needs nothing else", async () => {
    await inTemporaryFolder(async (folder) => {
      const file = join(folder, "speedup.svg");
      const { code } = await layermix([
        ...["project", hybrid, "--baseline", "transformer-8b", "--contexts", "1K,64K", "--svg", file],
      ]);
      assert.equal(code, 0);
      const svg = readFileSync(file, "utf8");
      assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox="0 0 760 420"/);
      assert.match(svg, /<title>Decode speed-up over transformer-8b on NVIDIA H200 SXM, batch 32<\/title>/);
      assert.equal(svg.match(/<polyline/g)!.length, 1);
      assert.equal(svg.match(/<circle/g)!.length, 2);
      assert.doesNotMatch(svg, /NaN|undefined|href|script/);
    });
  });

  it("refuses what it cannot do, with a code", async () => {
    const failures: readonly (readonly [readonly string[], number, string])[] = [
      [["--hardware", "h20"], 2, "LMX1502"],
      [["--contexts", "4K,banana"], 2, "LMX6005"],
      [["--batch", "0"], 2, "LMX6005"],
      [["--memory-share", "120%"], 2, "LMX6005"],
      [["--weights", "fp7"], 2, "LMX6005"],
      [["--svg", "x.svg", "--contexts", "4K"], 2, "LMX6006"],
      [["--baseline", "nothing"], 2, "LMX6008"],
      [["--tensor-parallel", "3"], 4, "LMX2401"],
      [["--set", "project.hardware=h20"], 3, "LMX1502"],
      [["--hardware", "/nowhere/gpu.yaml"], 3, "LMX1001"],
    ];
    const outcomes = await Promise.all(
      failures.map(async ([flags]) => {
        const { code, error } = await json("project", hybrid, ...flags);
        return [flags, code, error.code];
      }),
    );
    assert.deepEqual(outcomes, failures);
  });
});

describe("layermix hardware", () => {
  it("lists devices and shows one with its sources", async () => {
    const listed = await layermix(["hardware", "list"]);
    assert.equal(listed.code, 0);
    assert.match(listed.stdout, /^name +device +memory +TB\/s +bf16/);
    assert.match(listed.stdout, /\nh200 +NVIDIA H200 SXM +139\.8 GiB +4\.8 +989\.4/);
    const shown = await layermix(["hardware", "show", "h200"]);
    assert.match(shown.stdout, /bandwidth +4\.8 TB\/s +datasheet +NVIDIA H200/);
    assert.match(shown.stdout, /best copy seen +4\.138 TB\/s +measured/);
    const { data } = await json("hardware", "show", "h200");
    assert.deepEqual(data.bandwidth.value, 4.8e12);
    assert.equal((await json("hardware", "list")).data.hardware.length, 12);
  });

  it("says when there is no such device", async () => {
    const { code, error } = await json("hardware", "show", "b300");
    assert.equal(code, 2);
    assert.equal(error.code, "LMX1502");
    assert.match(error.help[0], /b200/);
  });
});
