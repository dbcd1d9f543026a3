// `layermix bench decode`, as a user runs it. Times are times: only their presence and consistency are checked.

import assert from "node:assert/strict";
import { layermix } from "./layermix.js";

const tiny = `layermix: 1
name: tiny
model:
  hidden: 32
  vocab: 64
  pattern: "M-*-"
  blocks:
    mamba2: { state: 8, head_dim: 16, groups: 1 }
    attention: { heads: 2, kv_heads: 1, head_dim: 16 }
    mlp: { width: 48 }
`;

describe("layermix bench decode", () => {
  it("times every context and batch", async () => {
    const flags = [
      "--contexts",
      "20,8K",
      "--batch",
      "1,3",
      "--steps",
      "3",
      "--device",
      "cpu",
      "--threads",
      "1",
    ];
    const { code, stdout } = await layermix(["bench", "decode", "-", ...flags, "--json"], { input: tiny });
    assert.equal(code, 0, stdout);
    const { command, data } = JSON.parse(stdout);
    assert.equal(command, "bench decode");
    assert.deepEqual(
      data.points.map(({ batch, context }: { batch: number; context: number }) => [batch, context]),
      [
        [1, 20],
        [1, 8192],
        [3, 20],
        [3, 8192],
      ],
    );
    for (const point of data.points) {
      assert.ok(point.decodeTokenSeconds > 0 && point.totalBytes > 0);
      assert.equal(point.tokensPerSecond, point.batch / point.decodeTokenSeconds);
      assert.equal(point.prefillSeconds === null, point.context === 8192);
    }
  });

  it("prints a table, and says what it is of", async () => {
    const flags = ["--contexts", "16", "--steps", "2", "--device", "cpu"];
    const { code, stdout, stderr } = await layermix(["bench", "decode", "-", ...flags], { input: tiny });
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^tiny on cpu, fp32, random weights, medians of 2 tokens\n\ncontext +batch +prompt +token/,
    );
    assert.match(stdout, /\n +16 +1 +[\d.]+ [mu]s +[\d.]+ [mu]s/);
  });

  it("refuses models that can only be planned, and models that do not fit", async () => {
    const moe = await layermix(["bench", "decode", "preset:jamba-1.5-mini", "--device", "cpu"]);
    assert.equal(moe.code, 4);
    assert.match(moe.stderr, /error\[LMX2017\]/);
    const huge = await layermix(
      ["bench", "decode", "-", "--batch", "1000000", "--contexts", "1M", "--device", "cpu"],
      {
        input: tiny,
      },
    );
    assert.equal(huge.code, 4);
    assert.match(huge.stderr, /error\[LMX3004\]: Out of memory: asked for [\d.]+ GiB, [\d.]+ [GM]iB free/);
  });
});
