// Every preset is valid input, means what its source says, and is unique by name.

import assert from "node:assert/strict";
import { estimate } from "../../src/estimate/estimate.js";
import { plan } from "../../src/plan/plan.js";
import { loadStudy } from "../../src/spec/load_study.js";
import { listPresets, presetSummary } from "../../src/spec/presets.js";

describe("presets", () => {
  for (const preset of listPresets()) {
    it(`${preset.name} is valid and says what it is`, async () => {
      const { spec, warnings } = await loadStudy(`preset:${preset.name}`);
      assert.deepEqual(warnings, []);
      assert.equal(spec.name, preset.name);
      assert.match(presetSummary(preset), /^[A-Z].{20,120}[.?]$/);
    });
  }

  it("have unique names", () => {
    const names = listPresets().map((preset) => preset.name);
    assert.deepEqual(names, [...new Set(names)]);
  });

  // Layer patterns as released: Megatron-LM main d98e8a64, examples/mamba/train.sh and examples/post_training/modelopt/conf.
  const patterns: Record<string, string> = {
    "mamba2-hybrid-8b": "M-M-M--M-M*-M-M-M-M--M*-M-M-M-M-M*--M-M-M-M-M*-M--M-M-M-",
    "mamba2-8b": "M".repeat(56),
    "transformer-8b": "*-".repeat(32),
    "nemotron-h-8b": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
  };
  // Exact sizes of the models built from these configurations by transformers 5.18.0 (NemotronHForCausalLM).
  const parameters: Record<string, number> = {
    "mamba2-hybrid-8b": 8_654_517_248,
    "nemotron-h-8b": 8_100_852_736,
  };
  for (const [name, total] of Object.entries(parameters)) {
    it(`${name} has ${total} parameters`, async () => {
      const { spec } = await loadStudy(`preset:${name}`);
      assert.equal(estimate(plan(spec)).params.total, total);
    });
  }

  for (const [name, pattern] of Object.entries(patterns)) {
    it(`${name} has the released pattern`, async () => {
      const { spec } = await loadStudy(`preset:${name}`);
      assert.equal(plan(spec).pattern, pattern);
    });
  }
});
