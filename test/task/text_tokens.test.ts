// The text task on tokens: tokenizers, token files, Megatron's order; what is measured, and what stays out of training.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { megatronOrder } from "../../src/corpus/megatron_sampling.js";
import { readTokenizer } from "../../src/corpus/tokenizer.js";
import { createTask } from "../../src/task/create_task.js";
import { RowRandom, streams } from "../../src/task/row_random.js";
import type { Batch, Task } from "../../src/task/task.js";
import { fixture, refuses } from "../corpus/fixture.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";

describe("text on tokens", () => {
  const folder = useTemporaryFolder();
  const cache = process.env.LAYERMIX_CACHE;
  beforeEach(() => {
    process.env.LAYERMIX_CACHE = join(folder(), "cache");
    for (const name of ["tokenizer_bytelevel.json"]) copyFileSync(fixture(name), join(folder(), name));
  });
  after(() => {
    if (cache === undefined) delete process.env.LAYERMIX_CACHE;
    else process.env.LAYERMIX_CACHE = cache;
  });
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(folder(), name), content);
  const make = (options: Record<string, unknown>, seed = 1, sequence = 16): Promise<Task> =>
    createTask({ sequence }, { task: "text", weight: 1, options }, seed, folder());
  const heldOut = (task: Task): Batch[] =>
    Array.from({ length: task.evaluationBatches(8) }, (_, index) => task.evaluationBatch(index, 8));
  const words = (count: number) =>
    Array.from({ length: count }, (_, i) => `word${(i * i) % 97} é漢${i % 13 === 0 ? "\n" : " "}`).join("");
  const nanogpt = (tokens: ArrayLike<number>) => new Uint8Array(Uint16Array.from(tokens).buffer);

  it("predicts tokens of the tokenizer, whose vocabulary is the task's", async () => {
    write("a.txt", words(800));
    const task = await make({ files: ["a.txt"], tokenizer: "tokenizer_bytelevel.json" });
    const tokenizer = await readTokenizer(fixture("tokenizer_bytelevel.json"));
    assert.equal(task.vocab, tokenizer.vocab);
    const encoded = [...tokenizer.encode(words(800))].join();
    const { tokens, targets } = task.trainBatch(0, 4);
    for (let row = 0; row < 4; row++) {
      const window = [...tokens.slice(row * 16, row * 16 + 16), targets[row * 16 + 15]!];
      assert.ok(encoded.includes(window.join()), "a window of the text");
    }
    assert.match(task.describe().join("\n"), /text; tokenizer tokenizer_bytelevel\.json, vocab 403$/m);
    assert.match(task.describe().join("\n"), /tokens to train on/);
  });

  it("measures bits per byte of the text behind the tokens", async () => {
    write("a.txt", words(800));
    const task = await make({ files: ["a.txt"], tokenizer: "tokenizer_bytelevel.json" });
    assert.equal(task.primary.name, "bitsPerByte");
    const vocabulary = new Map<number, string>(
      Object.entries(
        JSON.parse((await import("node:fs")).readFileSync(fixture("tokenizer_bytelevel.json"), "utf8")).model
          .vocab as Record<string, number>,
      ).map(([token, id]) => [id, token]),
    );
    let [bytes, asked] = [0, 0];
    const batches = heldOut(task).map((batch) => {
      for (const target of batch.targets) {
        if (target < 0) continue;
        bytes += vocabulary.get(target)!.length; // a byte-level token spells one byte per character
        asked += 1;
      }
      return {
        batch,
        loss: Float32Array.from(batch.targets, (t) => (t < 0 ? 0 : 0.75)),
        correct: new Uint8Array(batch.targets.length),
      };
    });
    const metrics = task.measure(batches);
    assert.equal(metrics.loss, 0.75);
    assert.ok(Math.abs(metrics.bitsPerByte! - (0.75 * asked) / Math.LN2 / bytes) < 1e-12);
  });

  it("is judged by the loss per token where nothing says what the tokens mean", async () => {
    write("train.bin", nanogpt(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 1009)));
    const task = await make({ files: ["train.bin"], format: "nanogpt" });
    assert.deepEqual([task.vocab, task.primary.name, task.primary.title], [1009, "loss", "loss/token"]);
    assert.match(
      task.describe()[1]!,
      /nanogpt; no tokenizer given, vocab 1,009; judged by the loss per token/,
    );
    const measured = task.measure(
      heldOut(task).map((batch) => ({
        batch,
        loss: new Float32Array(batch.targets.length).fill(2),
        correct: new Uint8Array(batch.targets.length),
      })),
    );
    assert.deepEqual(measured, { loss: 2 });
  });

  it("refuses tokens outside the vocabulary it was told", async () => {
    write("train.bin", nanogpt(Array.from({ length: 5000 }, (_, i) => i % 300)));
    const task = await make({ files: ["train.bin"], format: "nanogpt", vocab: 100 });
    assert.equal(task.vocab, 100);
    await refuses("LMX7022", ["tokens below 100", "train.bin"], () => {
      for (let step = 0; step < 20; step++) task.trainBatch(step, 8);
    });
  });

  it("identifies plain bytes as it always did, and everything that decides tokens besides", async () => {
    write("a.txt", words(800));
    const sha256 = createHash("sha256").update(words(800)).digest("hex");
    assert.deepEqual((await make({ files: ["a.txt"] })).identity, {
      task: "text",
      version: 1,
      files: [sha256],
      tokenizer: "bytes",
      held_out: 0.1,
      evaluation_tokens: 65536,
    });
    const options = { files: ["a.txt"], tokenizer: "tokenizer_bytelevel.json" };
    const identity = async (change = {}) => JSON.stringify((await make({ ...options, ...change })).identity);
    const base = await identity();
    assert.notEqual(await identity({ document_end: "a" }), base);
    write("b.jsonl", JSON.stringify({ text: words(800), body: words(801) }));
    const line = { files: ["b.jsonl"], tokenizer: "bytes" };
    assert.notEqual(await identity({ ...line, field: "text" }), await identity({ ...line, field: "body" }));
  });

  describe("order: megatron", () => {
    // 40 documents of 3 to 42 tokens; token = its place in the file, so that a row says where it comes from.
    const lengths = Array.from({ length: 40 }, (_, d) => 3 + ((d * 17) % 40));
    const total = lengths.reduce((a, b) => a + b, 0);
    const dataset = (name: string) => {
      const index = Buffer.alloc(34 + 12 * 40 + 8 * 41);
      index.write("MMIDIDX\0\0", 0, "latin1");
      index.writeBigUInt64LE(1n, 9);
      index.writeUInt8(8, 17);
      index.writeBigUInt64LE(40n, 18);
      index.writeBigUInt64LE(41n, 26);
      let place = 0;
      for (const [d, length] of lengths.entries()) {
        index.writeInt32LE(length, 34 + 4 * d);
        index.writeBigInt64LE(BigInt(2 * place), 34 + 160 + 8 * d);
        index.writeBigInt64LE(BigInt(d + 1), 34 + 480 + 8 * (d + 1));
        place += length;
      }
      write(`${name}.idx`, index);
      write(`${name}.bin`, nanogpt(Array.from({ length: total }, (_, i) => i)));
    };
    const options = { files: ["d.bin"], order: "megatron", epochs: 2, held_out: "25%", vocab: 2000 };

    it("gives the samples of Megatron's indices, one after the other", async () => {
      dataset("d");
      const task = await make(options, 7);
      const trained = lengths.slice(0, 30);
      const order = megatronOrder({ sizes: trained, sequence: 16, seed: 7, epochs: 2 });
      const stream = [...order.documentIndex].flatMap((d) => {
        const start = lengths.slice(0, d).reduce((a, b) => a + b, 0);
        return Array.from({ length: lengths[d]! }, (_, i) => start + i);
      });
      const rows = [0, 1, 2].flatMap((step) => {
        const { tokens, targets } = task.trainBatch(step, 5);
        return [0, 1, 2, 3, 4].map((row) => [
          ...tokens.slice(row * 16, row * 16 + 16),
          targets[row * 16 + 15],
        ]);
      });
      // Samples lie end to end in the stream of shuffled documents, each beginning with the last token of the one before.
      for (const [n, row] of rows.entries()) {
        const sample = order.shuffleIndex[n % order.shuffleIndex.length]!;
        assert.deepEqual(row, stream.slice(sample * 16, sample * 16 + 17), `sample ${n}`);
      }
    });

    it("holds out the last documents, each of their tokens asked once", async () => {
      dataset("d");
      const task = await make(options, 7);
      const border = lengths.slice(0, 30).reduce((a, b) => a + b, 0);
      const asked = heldOut(task).flatMap(({ targets }) => [...targets].filter((t) => t >= 0));
      assert.deepEqual(
        asked,
        Array.from({ length: total - border - 1 }, (_, i) => border + 1 + i),
      );
      for (let step = 0; step < 40; step++) {
        const { tokens, targets } = task.trainBatch(step, 8);
        assert.ok([...tokens, ...targets].every((token) => token < border));
      }
    });

    it("needs one Megatron dataset", async () => {
      write("a.txt", words(800));
      await refuses("LMX7027", ["order: megatron", "got text"], () =>
        make({ files: ["a.txt"], order: "megatron" }),
      );
    });
  });
});

describe("drawing a place in a large corpus", () => {
  it("is uniform beyond 2^32 and stays inside", () => {
    const random = new RowRandom(5, streams.train);
    const count = 3 * 2 ** 33 + 1;
    const thirds = [0, 0, 0];
    for (let row = 0; row < 3000; row++) {
      random.start(0, row);
      const value = random.below(count);
      assert.ok(Number.isInteger(value) && value >= 0 && value < count);
      thirds[Math.min(2, Math.floor((3 * value) / count))]! += 1;
    }
    // Standard deviation of each is 26.
    for (const third of thirds) assert.ok(Math.abs(third - 1000) < 130, String(thirds));
  });
});
