// tokenizer.json in three styles against what Hugging Face's own library made of 22 texts each.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bytesTokenizer, readTokenizer } from "../../src/corpus/tokenizer.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { fixture, fixtureJson, refuses } from "./fixture.js";

interface Recorded {
  readonly text: string;
  readonly ids_no_special: number[];
}

const { cases } = fixtureJson("tokenizer_json.json") as { cases: Record<string, Recorded[]> };

describe("tokenizers", () => {
  const folder = useTemporaryFolder();

  for (const [name, recorded] of Object.entries(cases)) {
    it(`encode as Hugging Face does: ${name}`, async () => {
      const tokenizer = await readTokenizer(fixture(`${name}.json`));
      assert.equal(recorded.length, 22);
      for (const { text, ids_no_special } of recorded) {
        assert.deepEqual([...tokenizer.encode(text)], ids_no_special, JSON.stringify(text));
        for (const id of ids_no_special) assert.ok(id < tokenizer.vocab);
      }
    });
  }

  it("say how many bytes of text each token stands for", async () => {
    for (const name of ["tokenizer_bytelevel", "tokenizer_llama3style"]) {
      const tokenizer = await readTokenizer(fixture(`${name}.json`));
      let texts = 0;
      for (const { text, ids_no_special } of cases[name]!) {
        if ([...tokenizer.specials.keys()].some((special) => text.includes(special))) continue;
        const bytes = ids_no_special.reduce((sum, id) => sum + tokenizer.tokenBytes![id]!, 0);
        assert.equal(bytes, Buffer.byteLength(text), JSON.stringify(text));
        texts += 1;
      }
      assert.ok(texts > 15, `${texts} texts`);
    }
    // SentencePiece puts a space in front of each text: one byte more.
    const metaspace = await readTokenizer(fixture("tokenizer_llama2style.json"));
    for (const { text, ids_no_special } of cases.tokenizer_llama2style!) {
      if (text === "" || [...metaspace.specials.keys()].some((special) => text.includes(special))) continue;
      const bytes = ids_no_special.reduce((sum, id) => sum + metaspace.tokenBytes![id]!, 0);
      assert.equal(bytes, Buffer.byteLength(text) + 1, JSON.stringify(text));
    }
  });

  it("give special tokens no bytes", async () => {
    const tokenizer = await readTokenizer(fixture("tokenizer_llama3style.json"));
    assert.ok(tokenizer.specials.size > 0);
    for (const id of tokenizer.specials.values()) assert.equal(tokenizer.tokenBytes![id], 0);
  });

  it("do not claim bytes where tokens have none: WordPiece", async () => {
    const path = join(folder(), "wordpiece.json");
    const model = {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: { "[UNK]": 0, a: 1, "##b": 2 },
    };
    writeFileSync(
      path,
      JSON.stringify({
        version: "1.0",
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: null,
        decoder: { type: "WordPiece", prefix: "##", cleanup: true },
        model,
      }),
    );
    const tokenizer = await readTokenizer(path);
    assert.deepEqual([...tokenizer.encode("ab a")], [1, 2, 1]);
    assert.equal(tokenizer.tokenBytes, undefined);
    assert.equal(tokenizer.vocab, 3);
  });

  it("of bytes is UTF-8", async () => {
    assert.deepEqual([...bytesTokenizer.encode("é\n")], [0xc3, 0xa9, 0x0a]);
  });

  it("refuse what is no tokenizer, by name", async () => {
    const write = (text: string) => {
      writeFileSync(join(folder(), "t.json"), text);
      return () => readTokenizer(join(folder(), "t.json"), "t.json");
    };
    await refuses("LMX7024", ["a Hugging Face tokenizer at t.json", "JSON"], write("{"));
    await refuses("LMX7024", ["no model.vocab"], write("{}"));
    await refuses("LMX7024", ["no model.vocab"], write("null"));
    await refuses("LMX7024", [], write('{"model":{"type":"Nonsense","vocab":{"a":0}}}'));
    await refuses("LMX7004", ["none.json", "there is no such file"], () =>
      readTokenizer(join(folder(), "none.json"), "none.json"),
    );
  });
});
