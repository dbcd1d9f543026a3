// A corpus from the user's side: which files it takes for what, what it says about bad ones, and that neither the tokens
// nor the memory depend on how they are read.

import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type CorpusRequest, openCorpus } from "../../src/corpus/open_corpus.js";
import { textPieces } from "../../src/corpus/text_pieces.js";
import { bytesTokenizer, readTokenizer } from "../../src/corpus/tokenizer.js";
import { WindowFile } from "../../src/corpus/window_file.js";
import { LayermixError } from "../../src/diag/diagnostic.js";
import { useTemporaryFolder } from "../study/temporary_folder.js";
import { fixture, refuses, tokensOf } from "./fixture.js";

const parquetTexts = Array.from({ length: 60 }, (_, i) => `Document ${i}: ${"word é漢 ".repeat(i % 7)}`);
parquetTexts[5] = "";
parquetTexts.splice(6, 1); // null

describe("openCorpus", () => {
  const folder = useTemporaryFolder();
  const cache = process.env.LAYERMIX_CACHE;
  beforeEach(() => {
    process.env.LAYERMIX_CACHE = join(folder(), "cache");
  });
  after(() => {
    if (cache === undefined) delete process.env.LAYERMIX_CACHE;
    else process.env.LAYERMIX_CACHE = cache;
  });
  const write = (name: string, content: string | Uint8Array) => writeFileSync(join(folder(), name), content);
  const open = (names: readonly string[], change: Partial<CorpusRequest> = {}) =>
    openCorpus({
      files: names.map((name) => ({ name, path: join(folder(), name) })),
      format: "auto",
      field: "text",
      tokenizer: bytesTokenizer,
      documentEnd: "",
      ...change,
    });
  const copy = (...names: string[]) => {
    for (const name of names) copyFileSync(fixture(name), join(folder(), name));
  };
  const text = (tokens: readonly number[]) => Buffer.from(tokens).toString("utf8");

  it("knows files by name and header", async () => {
    copy("mg_u16.bin", "mg_u16.idx", "llmc_gpt-2.bin", "nanogpt.bin", "documents_snappy.parquet");
    write("a.jsonl", '{"text":"x"}');
    write("a.txt", "plain");
    for (const [name, format] of [
      ["mg_u16.bin", "megatron"],
      ["mg_u16.idx", "megatron"],
      ["llmc_gpt-2.bin", "llmc"],
      ["documents_snappy.parquet", "parquet"],
      ["a.jsonl", "jsonl"],
      ["a.txt", "text"],
    ] as const) {
      assert.deepEqual((await open([name])).formats, [format], name);
    }
    await refuses("LMX7027", ["nanogpt.bin", ".bin without .idx"], () => open(["nanogpt.bin"]));
    const named = await open(["nanogpt.bin"], { format: "nanogpt" });
    assert.deepEqual(tokensOf(named.tokens), [1, 2, 3, 50256]);
  });

  it("takes a Megatron dataset once, by either file, both, or its prefix", async () => {
    copy("mg_u16.bin", "mg_u16.idx");
    const both = await open(["mg_u16.bin", "mg_u16.idx"]);
    assert.deepEqual([both.files.length, both.duplicates.length, both.tokens.count], [1, 0, 12]);
    assert.equal((await open(["mg_u16"], { format: "megatron" })).tokens.count, 12);
    assert.ok(both.megatron !== undefined && both.encoded);
  });

  it("joins documents of JSONL with an end after each", async () => {
    write("a.jsonl", '{"text":"één","id":1}\n\n{"id":2,"text":"two\\nlines"}\r\n{"text":""}');
    const { tokens, documentEnd } = await open(["a.jsonl"]);
    assert.equal(text(tokensOf(tokens)), "één\ntwo\nlines\n\n");
    assert.equal(documentEnd, "a newline");
    write("b.jsonl", '{"body":"b"}');
    assert.equal(text(tokensOf((await open(["b.jsonl"], { field: "body" })).tokens)), "b\n");
  });

  it("says which line of JSONL is no document, and where in it", async () => {
    const bad = async (content: string, ...parts: string[]) => {
      write("bad.jsonl", content);
      return refuses("LMX7023", [...parts, "bad.jsonl"], () => open(["bad.jsonl"]));
    };
    const error = await bad('{"text":"a"}\n\n{"text": oops}\n', "line 3", "JSON");
    assert.deepEqual(error.diagnostics[0]!.position, { file: "bad.jsonl", line: 3, column: 10 });
    await bad('{"text":"a"}\n{"body":"b"}', "line 2", "the fields body");
    await bad('{"text":7}', "line 1", "text: 7");
    await bad('["text"]', "line 1");
    await bad('{"__proto__":{"text":"x"}}', "line 1");
    await bad('{"text":"a"}\n{"text":"never closed', "line 2");
    write(
      "bad.jsonl",
      Buffer.concat([Buffer.from('{"text":"a"}\n{"text":"'), Uint8Array.of(0xff, 0x22, 0x7d)]),
    );
    await refuses("LMX7023", ["UTF-8", "line 2"], () => open(["bad.jsonl"]));
  });

  it("reads JSONL that is compressed with gzip, and says where it is damaged", async () => {
    const lines = Array.from({ length: 3000 }, (_, i) =>
      JSON.stringify({ text: `document ${i} é${"x".repeat(i % 50)}` }),
    );
    const packed = gzipSync(lines.join("\n"));
    write("c4.json.gz", packed);
    write("plain.jsonl", lines.join("\n"));
    const [gz, plain] = [await open(["c4.json.gz"]), await open(["plain.jsonl"])];
    assert.deepEqual(gz.formats, ["jsonl"]);
    assert.deepEqual(tokensOf(gz.tokens), tokensOf(plain.tokens));
    for (const damaged of [
      packed.subarray(0, packed.length - 5),
      packed.subarray(0, 40),
      Buffer.from("no gzip at all"),
    ]) {
      write("bad.json.gz", damaged);
      await refuses("LMX7029", ["gzip data in bad.json.gz"], () => open(["bad.json.gz"]));
    }
    write("bad.jsonl.gz", gzipSync(`${lines[0]}\n{"text":`));
    await refuses("LMX7023", ["line 2 of bad.jsonl.gz"], () => open(["bad.jsonl.gz"]));
  });

  for (const compression of ["none", "snappy", "gzip", "brotli"]) {
    it(`reads the parquet file that pyarrow wrote: ${compression}`, async () => {
      copy(`documents_${compression}.parquet`);
      const { tokens } = await open([`documents_${compression}.parquet`]);
      assert.equal(text(tokensOf(tokens)), parquetTexts.map((document) => `${document}\n`).join(""));
    });
  }

  it("reads zstd where Node.js does, and says so where not", async () => {
    copy("documents_zstd.parquet");
    const zstd = "zstdDecompressSync" in (await import("node:zlib"));
    if (zstd) assert.equal((await open(["documents_zstd.parquet"])).tokens.count > 0, true);
    else {
      const error = await refuses("LMX7026", ["documents_zstd.parquet", "row group 0"], () =>
        open(["documents_zstd.parquet"]),
      );
      assert.match(error.diagnostics[0]!.help.join(), /zstd with Node\.js 22\.15/);
    }
  });

  it("refuses parquet files that are cut off, empty, or without the column", async () => {
    const whole = readFileSync(fixture("documents_snappy.parquet"));
    for (const length of [0, 3, 12, 1000, whole.length - 1]) {
      write("cut.parquet", whole.subarray(0, length));
      await refuses("LMX7026", ["cut.parquet"], () => open(["cut.parquet"]));
    }
    copy("no_text.parquet");
    await refuses("LMX7026", ["named text, got the columns id, body"], () => open(["no_text.parquet"]));
    await refuses("LMX7026", ["named body, got one of type DOUBLE"], () =>
      open(["no_text.parquet"], { field: "body" }),
    );
  });

  it("never reads damaged parquet as something else than an error or texts", async () => {
    const whole = readFileSync(fixture("documents_snappy.parquet"));
    let refused = 0;
    for (let at = 7; at < whole.length; at += 41) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 0x55;
      write("x.parquet", bytes);
      try {
        tokensOf((await open(["x.parquet"])).tokens);
      } catch (error) {
        assert.ok(error instanceof LayermixError, `byte ${at}: ${error}`);
        assert.equal(error.diagnostics[0]!.code, "LMX7026");
        refused += 1;
      }
    }
    assert.ok(refused > 0);
  });

  it("encodes with a tokenizer, ends documents with its own token, and takes another one by name", async () => {
    const tokenizer = await readTokenizer(fixture("tokenizer_llama3style.json"));
    const documents = ["Hello world", "  two\n\n", "é漢 don't"];
    write("a.jsonl", documents.map((document) => JSON.stringify({ text: document })).join("\n"));
    const named = await open(["a.jsonl"], { tokenizer, documentEnd: "<|begin_of_text|>" });
    const begin = tokenizer.idOf("<|begin_of_text|>")!;
    assert.deepEqual(
      tokensOf(named.tokens),
      documents.flatMap((document) => [...tokenizer.encode(document), begin]),
    );
    const without = await open(["a.jsonl"], { tokenizer });
    assert.deepEqual(
      [without.documentEnd, tokensOf(without.tokens).at(-1)],
      ["a newline", [...tokenizer.encode("\n")].at(-1)],
    );
    const own = await readTokenizer(fixture("tokenizer_llama2style.json"));
    const { tokens, documentEnd } = await open(["a.jsonl"], { tokenizer: own });
    assert.equal(documentEnd, "</s>");
    assert.deepEqual(
      tokensOf(tokens),
      documents.flatMap((document) => [...own.encode(document), own.idOf("</s>")]),
    );
    const other = await open(["a.jsonl"], { tokenizer, documentEnd: "a" });
    assert.equal(tokensOf(other.tokens).at(-1), tokenizer.idOf("a"));
    await refuses("LMX7024", ["got <eod>"], () => open(["a.jsonl"], { tokenizer, documentEnd: "<eod>" }));
  });

  it("encodes once, into the cache, and again when the text, the field or the tokenizer changes", async () => {
    const tokenizer = await readTokenizer(fixture("tokenizer_bytelevel.json"));
    write("a.txt", "some words ".repeat(100));
    const files = () => readdirSync(join(folder(), "cache/tokens")).filter((name) => name.endsWith(".bin"));
    const first = tokensOf((await open(["a.txt"], { tokenizer })).tokens);
    const [name] = files();
    assert.deepEqual(tokensOf((await open(["a.txt"], { tokenizer })).tokens), first);
    assert.deepEqual(files(), [name]);
    // A cache that lost its end is not taken for the whole.
    truncateSync(join(folder(), "cache/tokens", name!), 10);
    assert.deepEqual(tokensOf((await open(["a.txt"], { tokenizer })).tokens), first);
    write("a.txt", "other words ".repeat(100));
    await open(["a.txt"], { tokenizer });
    await open(["a.txt"], { tokenizer: await readTokenizer(fixture("tokenizer_llama3style.json")) });
    assert.equal(files().length, 3);
  });

  it("gives the tokens of the whole text, though it is encoded in pieces", async () => {
    const tokenizer = await readTokenizer(fixture("tokenizer_bytelevel.json"));
    const line = (i: number) => `${"word é漢 ".repeat(i % 5)}don't ${i}\n${i % 3 === 0 ? "\n  \n" : ""}`;
    const whole = Array.from({ length: 4000 }, (_, i) => line(i)).join("");
    write("a.txt", whole);
    const pieces = [...textPieces(new WindowFile(join(folder(), "a.txt")))];
    assert.ok(pieces.length > 3);
    assert.equal(pieces.join(""), whole);
    const { tokens } = await open(["a.txt"], { tokenizer });
    assert.deepEqual(tokensOf(tokens), [...tokenizer.encode(whole)]);
  });

  it("cuts text without newlines between characters, and says where text is not UTF-8", async () => {
    write("long.txt", "漢".repeat(800_000));
    assert.equal([...textPieces(new WindowFile(join(folder(), "long.txt")))].join("").length, 800_000);
    write("bad.txt", Uint8Array.of(97, 0xff, 98));
    const tokenizer = await readTokenizer(fixture("tokenizer_bytelevel.json"));
    await refuses("LMX7022", ["Expected UTF-8 in bad.txt", "byte 0"], () => open(["bad.txt"], { tokenizer }));
    assert.deepEqual(tokensOf((await open(["bad.txt"])).tokens), [97, 0xff, 98], "bytes are bytes");
  });

  it("does not mix text with tokens", async () => {
    copy("mg_u16.bin", "mg_u16.idx");
    write("a.txt", "plain");
    await refuses("LMX7027", ["a.txt (text) beside mg_u16.bin (megatron)"], () =>
      open(["mg_u16.bin", "a.txt"]),
    );
  });

  it("says what to set where the cache cannot be written", async () => {
    write("blocked", "a file");
    process.env.LAYERMIX_CACHE = join(folder(), "blocked");
    write("a.jsonl", '{"text":"x"}');
    await assert.rejects(open(["a.jsonl"]), (error) => {
      assert.ok(error instanceof LayermixError);
      assert.deepEqual([error.exitCode, error.diagnostics[0]!.code], [6, "LMX7025"]);
      assert.match(error.diagnostics[0]!.help[0]!, /LAYERMIX_CACHE/);
      return true;
    });
  });

  it("leaves no half file in the cache after an error", async () => {
    write("bad.jsonl", `${'{"text":"fine"}\n'.repeat(1000)}oops`);
    await refuses("LMX7023", ["line 1001"], () => open(["bad.jsonl"]));
    const tokens = join(folder(), "cache/tokens");
    assert.deepEqual(existsSync(tokens) ? readdirSync(tokens) : [], []);
    mkdirSync(tokens, { recursive: true });
    rmSync(tokens, { recursive: true });
  });

  it("reads windows of a file far larger than memory would hold", async () => {
    // Sparse: 24 GB of zeros that take no room, with a word at the end.
    write("huge.txt", "");
    truncateSync(join(folder(), "huge.txt"), 24e9);
    const file = new WindowFile(join(folder(), "huge.txt"));
    const { FileTokens } = await import("../../src/corpus/token_store.js");
    const tokens = new FileTokens(file, "uint16", 0, 12e9);
    const before = process.memoryUsage().rss;
    for (const start of [0, 5e9, 12e9 - 512]) assert.equal(tokensOf(tokens, start, start + 512).length, 512);
    assert.ok(process.memoryUsage().rss - before < 200e6);
  });
});
