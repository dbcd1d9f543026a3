// Parameter counts against Hugging Face's NemotronH (transformers 5.18.0), model by model and layer by layer.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { estimate } from "../../src/estimate/estimate.js";
import { countParameters, layerParameters } from "../../src/estimate/parameters.js";
import { planModel } from "../../src/plan/plan.js";
import type { ModelSpec } from "../../src/spec/spec.js";
import { modelDefaults, patternModel } from "../plan/example_models.js";

interface Vector {
  readonly config: Readonly<Record<string, number>> & { readonly hybrid_override_pattern: string };
  readonly total_params: number;
  readonly params_per_layer_by_symbol: Readonly<Record<string, number>>;
}
const { vectors } = JSON.parse(
  readFileSync(new URL("../fixtures/nemotronh_params.json", import.meta.url), "utf8"),
) as {
  vectors: Vector[];
};

/** The model of a NemotronH config with another pattern (its own holds experts, which cannot be planned). */
function nemotron({ config }: Vector, pattern: string): ModelSpec {
  return patternModel(pattern, {
    hidden: config.hidden_size!,
    vocab: config.vocab_size!,
    blocks: {
      mamba2: {
        heads: config.mamba_num_heads,
        head_dim: config.mamba_head_dim,
        groups: config.n_groups,
        state: config.ssm_state_size,
        conv: config.conv_kernel,
      },
      attention: {
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
      },
      mlp: { width: config.intermediate_size, activation: "relu2" },
    },
  });
}

describe("parameter counts", () => {
  for (const vector of vectors) {
    const pattern = vector.config.hybrid_override_pattern;
    it(`of ${pattern} at hidden ${vector.config.hidden_size} are NemotronH's, layer by layer`, () => {
      const withoutExperts = pattern.replaceAll("E", "");
      const planned = planModel(nemotron(vector, withoutExperts === "" ? "M" : withoutExperts), "x");
      for (const { block, options } of planned.layers) {
        const context = { hidden: planned.hidden, layers: planned.layers.length };
        const expected = vector.params_per_layer_by_symbol[block.symbol];
        if (expected !== undefined)
          assert.equal(layerParameters(block, options, context), expected, block.kind);
      }
      if (withoutExperts !== pattern) {
        const experts = (pattern.split("E").length - 1) * vector.params_per_layer_by_symbol.E!;
        if (withoutExperts === "") return;
        assert.equal(countParameters(planned).total + experts, vector.total_params);
      } else assert.equal(countParameters(planned).total, vector.total_params);
    });
  }

  it("of the published 8B hybrid: 8,654,517,248", () => {
    const { params } = estimate(planModel(modelDefaults, "8b"));
    assert.equal(params.total, 8_654_517_248);
    assert.equal(params.active, params.total);
    assert.equal(params.embedding, 256_000 * 4096);
    assert.equal(params.embedding + params.nonEmbedding, params.total);
    assert.equal(
      Object.values(params.byKind).reduce((a, b) => a + b, 0),
      params.nonEmbedding,
    );
  });

  it("count a tied embedding once", () => {
    const untied = countParameters(planModel(modelDefaults, "x"));
    const tied = countParameters(planModel({ ...modelDefaults, tieEmbeddings: true }, "x"));
    assert.equal(untied.total - tied.total, 256_000 * 4096);
    assert.equal(tied.byKind.other, 4096);
  });
});
