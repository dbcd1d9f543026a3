// A mix and a placement on the command line.

import assert from "node:assert/strict";
import { parseMixFlag, parsePlacementFlag } from "../../src/cli/layout_flags.js";
import { refusal } from "../plan/refusal.js";

describe("--mix", () => {
  const mixes: readonly (readonly [string, Record<string, number>])[] = [
    ["mamba2=43%,attention=7%,mlp=50%", { mamba2: 0.43, attention: 0.07, mlp: 0.5 }],
    ["mamba2=0.43, attention=.07, mlp=0.5", { mamba2: 0.43, attention: 0.07, mlp: 0.5 }],
    ["attention=8%,mlp=50%", { attention: 0.08, mlp: 0.5, mamba2: 0.42 }],
    ["mamba2,attention=12.5%", { attention: 0.125, mamba2: 0.875 }],
    ["attention=50%,mlp", { attention: 0.5, mlp: 0.5 }],
    ["mlp=100%", { mlp: 1 }],
    ["mamba2", { mamba2: 1 }],
  ];
  for (const [text, mix] of mixes) it(`reads ${text}`, () => assert.deepEqual(parseMixFlag(text), mix));

  const wrong: readonly (readonly [string, string, string])[] = [
    [
      "mpl=50%",
      'Expected --mix to be shares by kind, got "mpl=50%"',
      "a kind with a similar name exists: mlp",
    ],
    ["", 'Expected --mix to be shares by kind, got ""', "for example --mix mamba2=43%,attention=7%,mlp=50%"],
    [
      "mlp=150%",
      'Expected --mix to be shares from 0% to 100%, got "mlp=150%"',
      "for example --mix mamba2=43%,attention=7%,mlp=50%",
    ],
    [
      "mlp=-5%",
      'Expected --mix to be shares from 0% to 100%, got "mlp=-5%"',
      "for example --mix mamba2=43%,attention=7%,mlp=50%",
    ],
    [
      "mlp=1/3",
      'Expected --mix to be shares from 0% to 100%, got "mlp=1/3"',
      "for example --mix mamba2=43%,attention=7%,mlp=50%",
    ],
    [
      "mlp=50%,mlp=50%",
      'Expected --mix to be every kind once, got "mlp=50%,mlp=50%"',
      "remove one of the mlp",
    ],
    [
      "mlp,attention",
      'Expected --mix to be one kind without a share at most, got "mlp,attention"',
      "for example --mix mamba2=43%,attention=7%,mlp=50%",
    ],
    [
      "mamba2=60%,mlp=60%",
      'Expected --mix to be shares that total 100%, got "mamba2=60%,mlp=60%"',
      "they total 120%; one kind without a share takes the rest",
    ],
    [
      "mamba2=40%,mlp=50%",
      'Expected --mix to be shares that total 100%, got "mamba2=40%,mlp=50%"',
      "they total 90%; one kind without a share takes the rest",
    ],
  ];
  for (const [text, message, help] of wrong) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const refused = refusal(() => parseMixFlag(text));
      assert.deepEqual(
        [refused.code, refused.exitCode, refused.message, refused.help[0]],
        ["LMX6005", 2, message, help],
      );
    });
  }
});

describe("--placement", () => {
  it("reads every placement", () => {
    assert.deepEqual(parsePlacementFlag("even"), { kind: "even" });
    assert.deepEqual(parsePlacementFlag("alternate"), { kind: "alternate" });
    assert.deepEqual(parsePlacementFlag("halves"), { kind: "halves" });
    assert.deepEqual(parsePlacementFlag("every:8"), { kind: "every", every: 8 });
    assert.deepEqual(parsePlacementFlag("at:12,24"), { kind: "at", at: [12, 24] });
  });

  for (const text of ["odd", "every:0", "every:", "at:", "at:1,", "EVEN"]) {
    it(`refuses ${text}`, () => assert.equal(refusal(() => parsePlacementFlag(text)).code, "LMX6005"));
  }
});
