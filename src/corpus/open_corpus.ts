// The files of a text task as one row of tokens. What a file is follows from its name and its first bytes, or from the
// study file's `format`: text that has to be encoded (plain, JSONL, parquet), or tokens that somebody encoded before
// (Megatron, llm.c, nanoGPT). Nothing is read into memory; every error names the file and the place in it.

import { existsSync } from "node:fs";
import { contentHash } from "./content_hash.js";
import { corpusError } from "./corpus_error.js";
import { uncompressedName } from "./file_chunks.js";
import { jsonlDocuments } from "./jsonl_documents.js";
import { looksLikeLlmc, openLlmc, openNanoGpt } from "./llmc_file.js";
import { type MegatronDataset, openMegatron } from "./megatron_index.js";
import { parquetDocuments } from "./parquet_documents.js";
import { textPieces } from "./text_pieces.js";
import { encodedTokens } from "./token_cache.js";
import { FileTokens, JoinedTokens, type TokenStore } from "./token_store.js";
import { bytesTokenizer, type Tokenizer } from "./tokenizer.js";
import { WindowFile } from "./window_file.js";

export const corpusFormats = ["auto", "text", "jsonl", "parquet", "megatron", "llmc", "nanogpt"] as const;
export type CorpusFormat = (typeof corpusFormats)[number];
type FileFormat = Exclude<CorpusFormat, "auto">;
const tokenFormats: readonly FileFormat[] = ["megatron", "llmc", "nanogpt"];

export interface CorpusRequest {
  /** Name as the user wrote it and path of each file, in order. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
  readonly format: CorpusFormat;
  /** Of JSONL and parquet. */
  readonly field: string;
  readonly tokenizer: Tokenizer;
  /** Token put behind every document, by its text; "" = the tokenizer's own, else a newline. */
  readonly documentEnd: string;
}

export interface CorpusFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Corpus {
  readonly tokens: TokenStore;
  /** Every kind of file in it. */
  readonly formats: readonly FileFormat[];
  /** Encoded before layermix saw it: the tokenizer, if one is given, only says what the tokens mean. */
  readonly encoded: boolean;
  readonly files: readonly CorpusFile[];
  /** Names left out because an earlier file has the same content. */
  readonly duplicates: readonly string[];
  /** What stands between documents, in words; undefined where the files decide. */
  readonly documentEnd: string | undefined;
  /** The dataset, where it is one. */
  readonly megatron: MegatronDataset | undefined;
}

/** Opens the files and encodes what is text. Throws LMX7004, LMX7020 to LMX7027. */
export async function openCorpus(request: CorpusRequest): Promise<Corpus> {
  const files: CorpusFile[] = [];
  const duplicates: string[] = [];
  const opened: { readonly file: WindowFile; readonly format: FileFormat; readonly sha256: string }[] = [];
  for (const { path, name } of megatronOnce(request)) {
    const file = new WindowFile(path, name);
    const format = formatOf(file, request.format);
    const sha256 = format === "megatron" ? hashPair(file) : contentHash(file);
    if (files.some((known) => known.sha256 === sha256)) {
      if (!files.some((known) => known.name === name)) duplicates.push(name);
      continue;
    }
    files.push({ name, bytes: file.byteLength, sha256 });
    opened.push({ file, format, sha256 });
  }
  const formats = [...new Set(opened.map(({ format }) => format))];
  const encoded = formats.every((format) => tokenFormats.includes(format));
  if (!encoded && formats.some((format) => tokenFormats.includes(format))) throw mixed(opened);
  if (encoded) {
    const stores = opened.map(({ file, format }) => openTokens(file, format));
    const [only] = stores;
    const megatron = stores.length === 1 && "documents" in only! ? (only as MegatronDataset) : undefined;
    return { tokens: join(stores), formats, encoded, files, duplicates, documentEnd: undefined, megatron };
  }
  const end = documentEndOf(request);
  const parts: TokenStore[] = [];
  for (const { file, format, sha256 } of opened)
    parts.push(await textTokens(request, file, format, sha256, end.tokens));
  // Plain files have no document ends of their own: one stands between two of them.
  const separator = formats.every((format) => format === "text") ? end.tokens : [];
  return {
    tokens: join(parts, separator),
    formats,
    encoded,
    files,
    duplicates,
    documentEnd: end.words,
    megatron: undefined,
  };
}

function join(parts: readonly TokenStore[], separator: readonly number[] = []): TokenStore {
  return parts.length === 1 ? parts[0]! : new JoinedTokens(parts, separator);
}

function openTokens(file: WindowFile, format: FileFormat): TokenStore {
  if (format === "megatron") return openMegatron(prefixOf(file.path), prefixOf(file.name));
  return format === "llmc" ? openLlmc(file) : openNanoGpt(file);
}

async function textTokens(
  { field, tokenizer }: CorpusRequest,
  file: WindowFile,
  format: FileFormat,
  sha256: string,
  documentEnd: readonly number[],
): Promise<TokenStore> {
  if (format === "text" && tokenizer === bytesTokenizer)
    return new FileTokens(file, "uint8", 0, file.byteLength);
  const documents = format === "jsonl" ? jsonlDocuments : parquetDocuments;
  async function* pieces() {
    if (format === "text") for (const text of textPieces(file)) yield { text, end: false };
    else for await (const text of documents(file, field)) yield { text, end: true };
  }
  const ends = format === "text" ? [] : documentEnd;
  return encodedTokens({
    sha256,
    format,
    field: format === "text" ? "" : field,
    tokenizer,
    documentEnd: ends,
    pieces,
  });
}

/** What ends a document: the token asked for, else the tokenizer's own, else a newline. */
function documentEndOf({ documentEnd, tokenizer }: CorpusRequest): {
  tokens: readonly number[];
  words: string;
} {
  if (documentEnd !== "") {
    const id = tokenizer.idOf(documentEnd);
    if (id === undefined) {
      const known = [...tokenizer.specials.keys()].slice(0, 8).join(", ");
      throw corpusError(
        "LMX7024",
        `Expected document_end to be a token of ${tokenizer.name}, got ${documentEnd}`,
        [
          known === ""
            ? "this tokenizer has no special tokens: leave document_end out"
            : `its special tokens: ${known}`,
        ],
      );
    }
    return { tokens: [id], words: documentEnd };
  }
  for (const name of ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>"]) {
    const id = tokenizer.specials.get(name);
    if (id !== undefined) return { tokens: [id], words: name };
  }
  return { tokens: [...tokenizer.encode("\n")], words: "a newline" };
}

/** A Megatron dataset is two files; whichever of them, or both, the user names, it is one. */
function megatronOnce({ files, format }: CorpusRequest): CorpusRequest["files"] {
  const taken = new Set<string>();
  return files.flatMap(({ name, path }) => {
    const isPrefix = format === "megatron" && !/\.(bin|idx)$/.test(path);
    const pair = isPrefix || (/\.(bin|idx)$/.test(path) && existsSync(`${prefixOf(path)}.idx`));
    if (!pair || (format !== "auto" && format !== "megatron")) return [{ name, path }];
    const prefix = isPrefix ? path : prefixOf(path);
    if (taken.has(prefix)) return [];
    taken.add(prefix);
    return [{ name: `${isPrefix ? name : prefixOf(name)}.bin`, path: `${prefix}.bin` }];
  });
}

function prefixOf(path: string): string {
  return path.replace(/\.(bin|idx)$/, "");
}

function hashPair(data: WindowFile): string {
  const index = new WindowFile(`${prefixOf(data.path)}.idx`, `${prefixOf(data.name)}.idx`);
  return `${contentHash(index)}+${contentHash(data)}`;
}

function formatOf(file: WindowFile, wanted: CorpusFormat): FileFormat {
  if (wanted !== "auto") return wanted;
  if (/\.(jsonl|ndjson|json)$/.test(uncompressedName(file.path))) return "jsonl";
  if (/\.parquet$/.test(file.path)) return "parquet";
  if (!/\.bin$/.test(file.path)) return "text";
  if (existsSync(`${prefixOf(file.path)}.idx`)) return "megatron";
  if (looksLikeLlmc(file)) return "llmc";
  throw corpusError(
    "LMX7027",
    `Expected to know what ${file.name} holds, got a .bin without .idx and without llm.c's header`,
    [
      "write `format: nanogpt` for u16 tokens without a header, as nanoGPT's prepare.py writes them",
      "a Megatron .bin needs its .idx beside it",
    ],
  );
}

function mixed(opened: readonly { readonly file: WindowFile; readonly format: FileFormat }[]): Error {
  const text = opened.find(({ format }) => !tokenFormats.includes(format))!;
  const tokens = opened.find(({ format }) => tokenFormats.includes(format))!;
  const message = `Expected files of text or files of tokens, got ${text.file.name} (${text.format}) beside ${tokens.file.name} (${tokens.format})`;
  return corpusError("LMX7027", message, ["make them two tasks, or encode all of them in the same way"]);
}
