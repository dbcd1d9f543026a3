// The exact count of docs/flops.md against loops that carry out every layer, token by token, forward and
// backward, and count each multiply and each add as they go.

import assert from "node:assert/strict";
import fc from "fast-check";
import { exactFlops } from "../../src/estimate/flops.js";
import { planModel } from "../../src/plan/plan.js";
import { patternModel } from "../plan/example_models.js";

interface Count {
  forward: number;
  backward: number;
}

/** y = W x for `tokens` vectors; backward: dx = W' dy and dW += dy x'. */
function countLinear(count: Count, tokens: number, inputs: number, outputs: number): void {
  for (let t = 0; t < tokens; t += 1) {
    for (let o = 0; o < outputs; o += 1) {
      for (let i = 0; i < inputs; i += 1) {
        count.forward += 2; // w * x, added up
        count.backward += 2; // dx[i] += w * dy[o]
        count.backward += 2; // dW[o][i] += dy[o] * x[i]
      }
    }
  }
}

function countConvolution(count: Count, time: number, channels: number, taps: number): void {
  for (let t = 0; t < time; t += 1) {
    for (let c = 0; c < channels; c += 1) {
      for (let k = 0; k < taps && k <= t; k += 1) {
        count.forward += 2; // y[t] += w[k] * x[t - k]
        count.backward += 4; // dx[t - k] += w[k] * dy[t]; dw[k] += dy[t] * x[t - k]
      }
    }
  }
}

function countScan(count: Count, time: number, heads: number, headDim: number, state: number): void {
  for (let t = 0; t < time; t += 1) {
    for (let h = 0; h < heads; h += 1) {
      for (let p = 0; p < headDim; p += 1) {
        count.forward += 1; // u = dt * x
        for (let n = 0; n < state; n += 1) {
          count.forward += 1; // a * h
          count.forward += 2; // + u * B
          count.forward += 2; // y += h * C
          count.backward += 2; // dh += dy * C
          count.backward += 2; // dC += dy * h
          count.backward += 2; // du += dh * B
          count.backward += 2; // dB += dh * u
          count.backward += 2; // da += dh * h before the step
          count.backward += 1; // dh before the step = a * dh
        }
        count.forward += 2; // y += D * x
        count.backward += 1; // dx = dt * du
        count.backward += 2; // dx += D * dy
        count.backward += 2; // dD += dy * x
        count.backward += 2; // d(dt) += du * x
      }
    }
  }
}

function countAttention(count: Count, time: number, heads: number, headDim: number): void {
  for (let h = 0; h < heads; h += 1) {
    for (let query = 0; query < time; query += 1) {
      for (let key = 0; key <= query; key += 1) {
        for (let c = 0; c < headDim; c += 1) {
          count.forward += 2; // s += q * k
          count.forward += 2; // o += p * v
          count.backward += 8; // dp += do * v; dv += p * do; dq += ds * k; dk += ds * q
        }
      }
    }
  }
}

describe("exact FLOPs", () => {
  const shapes = fc.record({
    batch: fc.integer({ min: 1, max: 2 }),
    sequence: fc.integer({ min: 1, max: 7 }),
    groups: fc.integer({ min: 1, max: 2 }),
    headsPerGroup: fc.integer({ min: 1, max: 2 }),
    headDim: fc.constantFrom(2, 4),
    state: fc.integer({ min: 1, max: 5 }),
    conv: fc.integer({ min: 1, max: 5 }),
    width: fc.integer({ min: 1, max: 9 }),
    gated: fc.boolean(),
    vocab: fc.integer({ min: 1, max: 9 }),
    tieEmbeddings: fc.boolean(),
    pattern: fc
      .array(fc.constantFrom("M", "*", "-"), { minLength: 1, maxLength: 4 })
      .map((symbols) => symbols.join("")),
  });

  it("are what loops over every layer count, forward and backward", () => {
    fc.assert(
      fc.property(shapes, (s) => {
        const hidden = 8;
        const heads = s.groups * s.headsPerGroup;
        const blocks = {
          mamba2: { heads, head_dim: s.headDim, groups: s.groups, state: s.state, conv: s.conv },
          attention: { heads, kv_heads: s.groups, head_dim: s.headDim },
          mlp: { width: s.width, gated: s.gated },
        };
        const { pattern, vocab, tieEmbeddings, batch, sequence } = s;
        const planned = planModel(patternModel(pattern, { hidden, vocab, tieEmbeddings, blocks }), "x");
        const count: Count = { forward: 0, backward: 0 };
        const inner = heads * s.headDim;
        const channels = inner + 2 * s.groups * s.state;
        for (let b = 0; b < batch; b += 1) {
          for (const symbol of pattern) {
            if (symbol === "M") {
              countLinear(count, sequence, hidden, inner + channels + heads);
              countConvolution(count, sequence, channels, s.conv);
              countScan(count, sequence, heads, s.headDim, s.state);
              countLinear(count, sequence, inner, hidden);
            } else if (symbol === "*") {
              countLinear(count, sequence, hidden, inner + 2 * s.groups * s.headDim);
              countAttention(count, sequence, heads, s.headDim);
              countLinear(count, sequence, inner, hidden);
            } else {
              countLinear(count, sequence, hidden, s.width * (s.gated ? 2 : 1));
              countLinear(count, sequence, s.width, hidden);
            }
          }
          countLinear(count, sequence, hidden, vocab);
        }
        assert.deepEqual(exactFlops(planned, { batch, sequence }), count);
      }),
      { numRuns: 200 },
    );
  });
});
