// layermix plan, run as a process.

import assert from "node:assert/strict";
import { layermix } from "./layermix.js";

const tiny = `model:
  layers: 8
  hidden: 64
  vocab: 100
  mix: { mamba2: 40%, attention: 10%, mlp: 50% }
`;
const swept = `${tiny}sweep:
  over: { mix.attention: [0%, 10%, 12%, 25%] }
  fill: mamba2
  where: [ { metric: kv_bytes_per_token, max: 300 } ]
`;

describe("layermix plan", () => {
  it("prints every field that scripts rely on, in plain numbers", async () => {
    const { code, stdout } = await layermix(["plan", "preset:mamba2-hybrid-8b", "--json"]);
    assert.equal(code, 0);
    const [model] = JSON.parse(stdout).data.models;
    assert.deepEqual(
      {
        name: model.name,
        pattern: model.pattern,
        layers: model.layers,
        counts: model.counts,
        total: model.params.total,
        flops: [model.flops.sequence, model.flops.batch, model.flops.megatronTrain],
        kv: model.memory.kvBytesPerToken,
      },
      {
        name: "mamba2-hybrid-8b",
        pattern: "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-",
        layers: 56,
        counts: { mamba2: 24, attention: 4, mlp: 28 },
        total: 8_654_517_248,
        flops: [4096, 1, 190_696_547_942_400],
        kv: 16_384,
      },
    );
    const { params, flops, memory } = model;
    assert.deepEqual(Object.keys(params), ["total", "active", "embedding", "nonEmbedding", "byKind"]);
    const names = ["sequence", "batch", "forward", "train", "megatronTrain", "trainPerToken"];
    assert.deepEqual(Object.keys(flops), names);
    assert.deepEqual(Object.keys(memory.training), [
      "weights",
      "gradients",
      "optimizer",
      "activations",
      "total",
    ]);
    for (const value of [
      ...Object.values(flops),
      ...Object.values(memory.training),
      memory.stateBytesPerSequence,
    ]) {
      assert.ok(Number.isFinite(value), String(value));
    }
    const { weights, gradients, optimizer, activations, total } = memory.training;
    assert.equal(weights + gradients + optimizer + activations, total);
  });

  it("counts for the workload it is given", async () => {
    const args = ["plan", "preset:mamba2-hybrid-8b", "--batch", "1024", "--json"];
    const { stdout } = await layermix(args);
    assert.equal(JSON.parse(stdout).data.models[0].flops.megatronTrain, 1.952732650930176e17);
    const long = await layermix(["plan", "preset:mamba2-hybrid-8b", "--sequence", "32K", "--json"]);
    assert.equal(JSON.parse(long.stdout).data.models[0].flops.megatronTrain, 1_617_931_360_272_384);
    const memory = async (...flags: string[]) =>
      JSON.parse((await layermix(["plan", "-", "--json", "--batch", "8", ...flags], { input: tiny })).stdout)
        .data.models[0].memory.training;
    const [fp32, small] = [
      await memory("--precision", "fp32"),
      await memory("--precision", "fp32", "--micro-batch", "1"),
    ];
    assert.equal(fp32.weights, small.weights);
    assert.ok(small.activations < fp32.activations / 4);
  });

  it("shows the model, then its candidates and what was dropped", async () => {
    const { code, stdout } = await layermix(["plan", "-", "--json"], { input: swept });
    assert.equal(code, 0);
    const { models, dropped } = JSON.parse(stdout).data;
    assert.deepEqual(
      models.map(({ name, pattern }: { name: string; pattern: string }) => [name, pattern]),
      [
        ["study", "M-M-*-M-"],
        ["attention=0%", "M-M-M-M-"],
        ["attention=10%", "M-M-*-M-"],
      ],
    );
    assert.deepEqual(dropped, [
      {
        name: "attention=12%",
        values: { "mix.attention": 0.12 },
        reason: "same layers and sizes as attention=10%",
      },
      {
        name: "attention=25%",
        values: { "mix.attention": 0.25 },
        reason: "kv_bytes_per_token is 512 B, above the limit of 300 B",
      },
    ]);
  });

  it("prints a report for people, without colours off a terminal", async () => {
    const { code, stdout, stderr } = await layermix(["plan", "-"], { input: swept });
    assert.equal(code, 0);
    assert.equal(stdout.includes("\u001b"), false);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 100, line);
    assert.match(
      stdout,
      /^study {2}8 layers, hidden 64, vocabulary 100, [\d,]+ parameters\n\n {2}M-M-\*-M-\n/,
    );
    assert.match(stdout, /\n {2}M mamba2 +3 +37\.5% +40% /);
    assert.match(stdout, /\n {2}training, as Megatron counts +[\d.]+ [KMG]FLOP\n/);
    assert.match(
      stdout,
      /\n {2}note: whole layers: mamba2 40% is 3 of 8 = 37\.5%, attention 10% is 1 of 8 = 12\.5%\n/,
    );
    assert.match(stdout, /\n2 candidates +M +\* +- +hidden/);
    assert.match(stdout, /\n2 dropped\nattention=12% +same layers and sizes as attention=10%\n/);
    assert.equal(stderr, ""); // stdin cannot be named in a next command
  });

  it("takes several files and --set", async () => {
    const args = [
      "plan",
      "preset:mamba2-hybrid-8b",
      "preset:nemotron-h-8b",
      "--set",
      "model.vocab=1000",
      "--json",
    ];
    const { stdout } = await layermix(args);
    const { models } = JSON.parse(stdout).data;
    assert.deepEqual(
      models.map(({ name, vocab }: { name: string; vocab: number }) => [name, vocab]),
      [
        ["mamba2-hybrid-8b", 1000],
        ["nemotron-h-8b", 1000],
      ],
    );
  });

  it("points at what cannot be planned, and exits with 4", async () => {
    const input = `${tiny}  placement: alternate\n`;
    const { code, stderr, stdout } = await layermix(["plan", "-"], { input });
    assert.deepEqual([code, stdout], [4, ""]);
    assert.equal(
      stderr,
      [
        "error[LMX2010]: Expected as many attention as Mamba-2 layers for placement alternate (one more at most), got 1 and 3",
        "  --> <stdin>:6:14",
        "   |",
        " 4 |   vocab: 100",
        " 5 |   mix: { mamba2: 40%, attention: 10%, mlp: 50% }",
        " 6 |   placement: alternate",
        "   |              ^^^^^^^^^",
        "   = help: with 4 of 8 layers MLP, ask for 25% of each",
        "   = help: or use placement even, which spreads any share",
        "",
      ].join("\n"),
    );
  });

  it("refuses a malformed pattern as an invalid file, other kinds as infeasible", async () => {
    const pattern = (text: string) => `model: { hidden: 64, vocab: 100, pattern: "${text}" }\n`;
    const wrong = await layermix(["plan", "-", "--json"], { input: pattern("M-x") });
    assert.equal(wrong.code, 3);
    const sparse = await layermix(["plan", "-", "--json"], { input: pattern("MDM-") });
    assert.equal(sparse.code, 4);
    assert.equal(
      JSON.parse(sparse.stdout).error.message,
      "DeepSeek sparse attention (D) is not supported yet",
    );
  });

  for (const args of [
    ["--sequence", "many"],
    ["--batch", "0"],
    ["--batch", "4", "--micro-batch", "3"],
    ["--precision", "fp8"],
  ]) {
    it(`refuses ${args.join(" ")} with exit code 2`, async () => {
      assert.equal((await layermix(["plan", "-", ...args], { input: tiny })).code, 2);
    });
  }
});
