// Every published model that comes with layermix can be projected, and its memory is what is published.

import assert from "node:assert/strict";
import { estimate } from "../../src/estimate/estimate.js";
import { plan } from "../../src/plan/plan.js";
import type { Plan } from "../../src/plan/plan_types.js";
import { project } from "../../src/project/project.js";
import { loadStudy } from "../../src/spec/load_study.js";
import { listPresets } from "../../src/spec/presets.js";
import { device, figure } from "./devices.js";

const preset = async (name: string): Promise<Plan> => plan((await loadStudy(`preset:${name}`)).spec);
const large = device({ memory: figure(2e12) });

describe("published models", () => {
  for (const { name } of listPresets().filter(({ kind }) => kind === "model")) {
    it(`${name}: two bytes per parameter in bf16, and a time for prompt and token`, async () => {
      const model = await preset(name);
      const { weightBytes, points } = project(model, { hardware: large, contexts: [4096], batch: 2 });
      assert.equal(weightBytes, 2 * estimate(model).params.total);
      const [point] = points;
      assert.ok(point!.fits);
      assert.ok(point!.decodeTokenSeconds > 0 && point!.prefillSeconds > point!.decodeTokenSeconds);
    });
  }

  // arXiv 2403.19887 table 1 and 2408.12570 table 1: KV cache at 256K tokens, 16 bits.
  for (const [name, gibibytes] of [
    ["mistral-7b", 32],
    ["mixtral-8x7b", 32],
    ["jamba-1.5-mini", 4],
    ["jamba-1.5-large", 9],
  ] as const) {
    it(`${name}: ${gibibytes} GiB of KV cache at 256K`, async () => {
      const options = { hardware: large, contexts: [256 * 1024], batch: 1 };
      const [point] = project(await preset(name), options).points;
      assert.equal(point!.kvBytes, gibibytes * 1024 ** 3);
    });
  }

  it("nemotron-nano-9b-v2: 16 KiB of KV cache per token, 69.4 MiB of bf16 state per sequence", async () => {
    const { kvBytesPerToken, stateBytesPerSequence } = project(await preset("nemotron-nano-9b-v2"), {
      ...{ hardware: large, contexts: [4096], batch: 1 },
      types: { state: "bf16" },
    });
    assert.equal(kvBytesPerToken, 16 * 1024);
    assert.equal((stateBytesPerSequence / 1024 ** 2).toFixed(1), "69.4");
  });
});
