// The native library computes the functions of Hugging Face's models: logits, loss, every hidden state and every gradient of
// recorded runs (transformers 5.18.0, fp32 on the CPU), in fp64 and in fp32. And a checkpoint that is wrong is told apart.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { renderVerification } from "../../src/interop/render_verification.js";
import { openSafetensors, type TensorSource, writeSafetensors } from "../../src/interop/safetensors.js";
import { verify } from "../../src/interop/verify.js";
import { type Distances, within } from "../../src/interop/verify_limits.js";

const golden = (name: string): string => new URL(`../fixtures/golden/${name}`, import.meta.url).pathname;

/** The tensors of a file, to be written again with changes. */
function tensorsOf(path: string): Map<string, TensorSource> {
  const file = openSafetensors(path);
  const all = new Map(
    [...file.tensors.values()].map((entry) => [entry.name, { ...entry, data: file.read(entry.name) }]),
  );
  file.close();
  return all;
}

describe("verify", () => {
  for (const name of ["nemotronh_g1", "nemotronh_dense_M-M*-M-", "mamba2_g1"]) {
    for (const precision of ["fp64", "fp32"] as const) {
      it(`reproduces ${name} in ${precision}`, async () => {
        const result = await verify({ folder: golden(name), device: "cpu", precision });
        assert.ok(result.ok);
        assert.ok(result.logitsMaxAbs <= 2e-5, `logits ${result.logitsMaxAbs}`);
        assert.ok(result.lossAbs !== null && result.lossAbs <= 5e-6, `loss ${result.lossAbs}`);
        const config = JSON.parse(readFileSync(join(golden(name), "config.json"), "utf8"));
        const layers: number = config.layers_block_type?.length ?? config.num_hidden_layers;
        assert.equal(result.hiddenMaxAbs.length, layers + 1);
        for (const difference of result.hiddenMaxAbs) assert.ok(difference <= 2e-5, `hidden ${difference}`);
        const parameters = [...openSafetensors(join(golden(name), "model.safetensors")).tensors.keys()];
        assert.deepEqual(Object.keys(result.gradients).sort(), parameters.sort());
        for (const [parameter, error] of Object.entries(result.gradients)) {
          assert.ok(error <= 1e-4, `${parameter}: ${error}`);
        }
        assert.equal(result.worstGradient, Math.max(...Object.values(result.gradients)));
      });
    }
  }

  it("allows a run in bf16 twice what a plain bf16 implementation is off, and no more", async () => {
    const folder = golden("nemotronh_dense_M-M*-M-");
    // The plain implementation itself, in the library's place of a GPU.
    const plain = await verify({ folder, device: "reference", precision: "bf16" });
    assert.ok(plain.ok);
    // Eight bits of mantissa round by 2^-9 at most, again and again.
    assert.ok(plain.worstGradient > 2 ** -9 && plain.worstGradient < 0.1, `${plain.worstGradient}`);
    assert.ok(plain.logitsMaxAbs > 1e-4 && plain.logitsMaxAbs < 0.1, `${plain.logitsMaxAbs}`);
    assert.equal(plain.limits.logits, 2 * plain.logitsMaxAbs);
    const times = (factor: number): Distances => ({
      logitsMaxAbs: factor * plain.logitsMaxAbs,
      logitsRms: 0,
      lossAbs: 0,
      gradients: Object.fromEntries(
        Object.entries(plain.gradients).map(([name, error]) => [name, factor * error]),
      ),
    });
    assert.ok(within(times(1.99), plain.limits));
    assert.ok(!within(times(2.01), plain.limits));
    const [name] = Object.entries(plain.gradients).sort(([, a], [, b]) => b - a)[0]!;
    for (const off of [2.01 * plain.worstGradient, Number.NaN]) {
      assert.ok(!within({ ...times(1), gradients: { ...times(1).gradients, [name]: off } }, plain.limits));
    }
  });

  describe("with a changed checkpoint", () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "layermix-verify-"));
      cpSync(golden("nemotronh_g1"), folder, { recursive: true });
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const run = (reference?: string) =>
      verify({ folder, device: "cpu", precision: "fp64", ...(reference !== undefined && { reference }) });
    const change = (file: string, edit: (tensors: Map<string, TensorSource>) => void): void => {
      const tensors = tensorsOf(join(folder, file));
      edit(tensors);
      writeSafetensors(join(folder, file), tensors.values(), { format: "pt" });
    };
    const problems = async (): Promise<string[]> => {
      try {
        await run();
      } catch (error) {
        assert.ok(error instanceof LayermixError, String(error));
        return error.diagnostics.map(({ code, message }) => `${code} ${message.replaceAll(folder, "DIR")}`);
      }
      return [];
    };

    it("reads sharded weights and the prefix model.", async () => {
      const tensors = tensorsOf(join(folder, "model.safetensors"));
      rmSync(join(folder, "model.safetensors"));
      const weightMap: Record<string, string> = {};
      for (const shard of [1, 2]) {
        const half = [...tensors.values()].filter((_, index) => index % 2 === shard - 1);
        const renamed = half.map((tensor) => ({
          ...tensor,
          name: tensor.name.replace(/^backbone\./, "model."),
        }));
        const name = `model-0000${shard}-of-00002.safetensors`;
        for (const tensor of renamed) weightMap[tensor.name] = name;
        writeSafetensors(join(folder, name), renamed);
      }
      const index = { metadata: { total_size: 125632 }, weight_map: weightMap };
      writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
      assert.ok((await run()).ok);
    });

    it("notices one changed weight", async () => {
      change("model.safetensors", (tensors) => {
        const weight = tensors.get("backbone.layers.2.mixer.k_proj.weight")!;
        new Float32Array((weight.data as Uint8Array<ArrayBuffer>).buffer)[3]! += 0.01;
      });
      const result = await run();
      assert.equal(result.ok, false);
      assert.match(renderVerification(result), /NOT equal within tolerance$/);
    });

    it("is not satisfied by NaN", async () => {
      change("io.safetensors", (tensors) => {
        const logits = tensors.get("logits")!;
        new Float32Array((logits.data as Uint8Array<ArrayBuffer>).buffer)[7] = Number.NaN;
      });
      const result = await run();
      assert.deepEqual([result.logitsMaxAbs, result.ok], [Number.NaN, false]);
    });

    it("lists missing, unexpected and mis-shaped tensors, all at once", async () => {
      change("model.safetensors", (tensors) => {
        tensors.delete("backbone.norm_f.weight");
        tensors.set("backbone.layers.9.norm.weight", {
          ...tensors.get("lm_head.weight")!,
          name: "backbone.layers.9.norm.weight",
        });
        const up = tensors.get("backbone.layers.1.mixer.up_proj.weight")!;
        tensors.set(up.name, { ...up, shape: [32, 48] });
      });
      assert.deepEqual(await problems(), [
        "LMX5103 Expected backbone.layers.1.mixer.up_proj.weight of shape [48, 32], got shape [32, 48] in DIR",
        "LMX5103 Expected backbone.norm_f.weight of shape [32], got no such tensor in DIR",
        "LMX5103 Expected no tensor backbone.layers.9.norm.weight in this model, got one in DIR",
      ]);
    });

    it("ignores multi-token-prediction weights", async () => {
      change("model.safetensors", (tensors) => {
        tensors.set("mtp.layers.0.norm.weight", {
          ...tensors.get("lm_head.weight")!,
          name: "mtp.layers.0.norm.weight",
        });
      });
      assert.ok((await run()).ok);
    });

    it("works with logits alone, and says what was not recorded", async () => {
      change("io.safetensors", (tensors) => {
        for (const name of tensors.keys())
          if (name !== "input_ids" && name !== "logits") tensors.delete(name);
      });
      const result = await run();
      assert.deepEqual(
        { ...result, logitsMaxAbs: 0 },
        {
          logitsMaxAbs: 0,
          lossAbs: null,
          hiddenMaxAbs: [],
          gradients: {},
          worstGradient: 0,
          limits: { logits: 2e-5, loss: 2e-5, gradients: {} },
          ok: true,
        },
      );
      assert.match(
        renderVerification(result),
        /loss +not recorded\ngradients +not recorded\nequal within tolerance$/,
      );
    });

    const unusable: [string, (tensors: Map<string, TensorSource>) => void, string][] = [
      [
        "without input_ids",
        (tensors) => tensors.delete("input_ids"),
        "LMX5104 Expected input_ids of shape (batch, sequence) in DIR/io.safetensors",
      ],
      [
        "with a token outside the vocabulary",
        (tensors) => {
          new BigInt64Array((tensors.get("input_ids")!.data as Uint8Array<ArrayBuffer>).buffer)[4] = 64n;
        },
        "LMX3005 Expected tokens[4] from 0 to 63, got 64",
      ],
      [
        "with logits of another shape",
        (tensors) => {
          tensors.set("logits", { ...tensors.get("logits")!, shape: [2, 64, 21] });
        },
        "LMX5104 Expected logits of shape [2, 21, 64] in DIR/io.safetensors, got [2, 64, 21]",
      ],
      [
        "with a gradient of an unknown parameter",
        (tensors) => {
          tensors.set("grad.x", { ...tensors.get("loss")!, name: "grad.x" });
        },
        "LMX5104 Expected a parameter of the model behind grad.x in DIR/io.safetensors",
      ],
      [
        "with too few hidden states",
        (tensors) => tensors.delete("hidden_states.6"),
        "LMX5104 Expected 7 hidden_states in DIR/io.safetensors, got 6",
      ],
    ];
    for (const [title, edit, message] of unusable) {
      it(`refuses a reference ${title}`, async () => {
        change("io.safetensors", edit);
        assert.deepEqual(await problems(), [message]);
      });
    }

    it("refuses shard names that leave the folder", async () => {
      rmSync(join(folder, "model.safetensors"));
      const index = { weight_map: { "lm_head.weight": "../model.safetensors" } };
      writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
      assert.deepEqual(await problems(), [
        "LMX5101 Expected names of files in the same folder at weight_map in DIR/model.safetensors.index.json",
      ]);
    });

    it("names the device that is not there", async () => {
      await assert.rejects(verify({ folder, device: "cuda:7", precision: "bf16" }), {
        message: /^LMX3003: No device cuda:7: /,
      });
    });
  });
});
