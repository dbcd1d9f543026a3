// Megatron-LM's num_floating_point_operations, bit for bit: recorded values, and its formula carried out the
// way Python does (integers exact, one rounding where they meet a double) for shapes whose products exceed
// 2^53.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { megatronTrainFlops } from "../../src/estimate/flops.js";
import { planModel } from "../../src/plan/plan.js";
import { patternModel } from "../plan/example_models.js";

interface Config {
  readonly hybrid_layer_pattern: string | null;
  readonly seq_length: number;
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly group_query_attention: boolean;
  readonly num_query_groups: number;
  readonly kv_channels: number;
  readonly ffn_hidden_size: number;
  readonly swiglu: boolean;
  readonly mamba_state_dim: number;
  readonly mamba_head_dim: number;
  readonly mamba_num_groups: number;
  readonly mamba_num_heads: number | null;
  readonly padded_vocab_size: number;
  readonly spec: unknown;
}
const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/megatron_flops.json", import.meta.url), "utf8"),
) as {
  defaults: Config;
  vectors: { name: string; batch_size: number; config: Partial<Config>; expected_flops: number }[];
};

function planOf(config: Config) {
  const { group_query_attention, num_attention_heads, num_query_groups, mamba_num_heads } = config;
  return planModel(
    patternModel(config.hybrid_layer_pattern!, {
      hidden: config.hidden_size,
      vocab: config.padded_vocab_size,
      blocks: {
        mamba2: {
          state: config.mamba_state_dim,
          head_dim: config.mamba_head_dim,
          groups: config.mamba_num_groups,
          ...(mamba_num_heads === null ? {} : { heads: mamba_num_heads }),
        },
        attention: {
          heads: num_attention_heads,
          kv_heads: group_query_attention ? num_query_groups : num_attention_heads,
          head_dim: config.kv_channels,
        },
        mlp: {
          width: config.ffn_hidden_size,
          gated: config.swiglu,
          activation: config.swiglu ? "silu" : "relu2",
        },
      },
    }),
    "x",
  );
}

describe("Megatron's training FLOPs", () => {
  const rows = fixture.vectors
    .map((vector) => ({ ...vector, config: { ...fixture.defaults, ...vector.config } }))
    .filter(({ config }) => config.hybrid_layer_pattern !== null && config.spec === null);

  it("has recorded values for twelve hybrids", () => assert.equal(rows.length, 12));

  for (const { name, batch_size, config, expected_flops } of rows) {
    it(`of ${name}: ${expected_flops}`, () => {
      const work = { batch: batch_size, sequence: config.seq_length };
      assert.equal(megatronTrainFlops(planOf(config), work), expected_flops);
    });
  }

  it("rounds where Python does, also far above 2^53", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 260_000 }),
        fc.integer({ min: 1, max: 9000 }),
        (units, kv, sequence, batch, vocab, width) => {
          const hidden = units * 8;
          const pattern = "MM-*M-M";
          const blocks = {
            mamba2: { heads: 12, head_dim: 8, groups: 3, state: 19 },
            attention: { heads: kv * 3, kv_heads: kv, head_dim: 24 },
            mlp: { width },
          };
          const planned = planModel(patternModel(pattern, { hidden, vocab, blocks }), "x");
          // Python: int * int is exact; int * float rounds the int first; float + int likewise.
          const big = BigInt;
          const tokens = big(batch) * big(sequence);
          const p = (24 * kv * 3) / hidden;
          const projections = Number(4n * tokens * big(hidden)) * p * (hidden + hidden * (kv / (kv * 3)));
          const core = Number(2n * tokens * big(sequence) * big(hidden)) * p;
          const mlp = 4 * (width / hidden) * 1 * Number(tokens) * Number(big(hidden) ** 2n);
          const d = 2n * big(hidden);
          const mamba =
            2n * tokens * big(hidden) * (2n * d + 2n * 3n * 19n + 12n) +
            7n * tokens * d * 19n +
            2n * tokens * d * big(hidden);
          const logits = 2n * tokens * big(hidden) * big(vocab);
          const expected = (1 * (projections + core) + 2 * mlp + Number(4n * mamba) + Number(logits)) * 3;
          assert.equal(megatronTrainFlops(planned, { batch, sequence }), expected);
        },
      ),
      { numRuns: 200 },
    );
  });
});
