// The bytes that a decoded token moves are those that `project` has for the same model.

import assert from "node:assert/strict";
import { decodeBytesPerToken } from "../../src/estimate/decode_bytes.js";
import { countParameters } from "../../src/estimate/parameters.js";
import { plan } from "../../src/plan/plan.js";
import { loadHardware } from "../../src/project/load_hardware.js";
import { project } from "../../src/project/project.js";
import { loadStudy } from "../../src/spec/load_study.js";

const [context, batch] = [131_072, 32];

for (const name of ["mamba2-hybrid-8b", "transformer-8b", "falcon-h1-7b", "recurrentgemma-2b"]) {
  it(`decode_bytes of ${name}: weights once per batch, the cache read, the state read and written`, async () => {
    const model = plan((await loadStudy(`preset:${name}`)).spec);
    const { points, stateBytesPerSequence } = project(model, {
      hardware: await loadHardware("h200"),
      contexts: [context],
      batch,
    });
    const { active, embedding } = countParameters(model);
    const weights = 2 * (active - (model.tieEmbeddings ? 0 : embedding));
    assert.equal(
      decodeBytesPerToken(model, context, batch),
      weights / batch + points[0]!.kvBytes / batch + 2 * stateBytesPerSequence,
    );
  });
}
