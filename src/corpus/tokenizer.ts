// Tokenizers: bytes, or a Hugging Face tokenizer.json through @huggingface/tokenizers. Text is encoded without special
// tokens. Where the tokenizer can say how many bytes of text each token stands for, a loss per token is also one per
// byte, and models with different tokenizers can be compared.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { systemReason } from "../diag/system_reason.js";
import { corpusError } from "./corpus_error.js";

export interface Tokenizer {
  /** "bytes", or the file as the user named it. */
  readonly name: string;
  /** Enters the identity of a task: "bytes", or the SHA-256 of tokenizer.json. */
  readonly identity: string;
  readonly vocab: number;
  encode(text: string): Iterable<number>;
  /** The id of a token by its text, for the end of documents. */
  idOf(token: string): number | undefined;
  /** Special tokens by their text. */
  readonly specials: ReadonlyMap<string, number>;
  /** Bytes of text that each id stands for (special tokens: 0); undefined where the tokenizer does not say. */
  readonly tokenBytes: Float64Array | undefined;
}

export const bytesTokenizer: Tokenizer = {
  name: "bytes",
  identity: "bytes",
  vocab: 256,
  encode: (text) => Buffer.from(text, "utf8"),
  idOf: () => undefined,
  specials: new Map(),
  tokenBytes: new Float64Array(256).fill(1),
};

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}
interface TokenizerJson {
  readonly added_tokens?: readonly AddedToken[];
  readonly model: {
    readonly type?: string;
    readonly vocab: Readonly<Record<string, number>> | readonly [string, number][];
  };
  readonly decoder?: DecoderJson | null;
}
interface DecoderJson {
  readonly type: string;
  readonly decoders?: readonly DecoderJson[];
}

/** Reads a tokenizer.json. Throws LMX7004 (cannot be read), LMX7024 (not one that can be used). */
export async function readTokenizer(path: string, name: string = path): Promise<Tokenizer> {
  const library = await import("@huggingface/tokenizers"); // most commands need no tokenizer
  const text = readText(path, name);
  let json: TokenizerJson;
  let hub: HubTokenizer;
  try {
    json = JSON.parse(text) as TokenizerJson;
    if (typeof json?.model?.vocab !== "object") throw new Error("no model.vocab in it");
    hub = new library.Tokenizer(json, {});
    hub.encode("a b", { add_special_tokens: false });
  } catch (cause) {
    const message = `Expected a Hugging Face tokenizer at ${name}, got: ${(cause as Error).message.slice(0, 200)}`;
    throw corpusError(
      "LMX7024",
      message,
      ["give the tokenizer.json of a fast tokenizer, or tokenizer: bytes"],
      { cause },
    );
  }
  const added = json.added_tokens ?? [];
  const entries = vocabularyOf(json);
  const ids = new Map(entries);
  for (const { id, content } of added) ids.set(content, id);
  let vocab = 0;
  for (const id of ids.values()) vocab = Math.max(vocab, id + 1);
  return {
    name,
    identity: createHash("sha256").update(text).digest("hex"),
    vocab,
    encode: (piece) => hub.encode(piece, { add_special_tokens: false }).ids,
    idOf: (token) => ids.get(token),
    specials: new Map(
      added.filter(({ special }) => special === true).map(({ id, content }) => [content, id]),
    ),
    tokenBytes: tokenBytesOf(json, entries, added, vocab),
  };
}

function readText(path: string, name: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw corpusError(
      "LMX7004",
      `Expected a readable tokenizer at ${name}, got: ${systemReason(cause)}`,
      [],
      { cause },
    );
  }
}

/** Tokens with ids; a Unigram model lists them in order. */
function vocabularyOf({ model }: TokenizerJson): readonly (readonly [string, number])[] {
  if (Array.isArray(model.vocab))
    return (model.vocab as readonly [string, number][]).map(([token], id) => [token, id]);
  return Object.entries(model.vocab as Readonly<Record<string, number>>);
}

/** A single byte of SentencePiece's byte fallback. */
const byteToken = /^<0x[0-9A-F]{2}>$/;

/**
 * Byte-level tokens spell one byte per character; SentencePiece tokens are text with a block for the space, and
 * <0xNN> for a single byte. Other decoders (WordPiece) glue and strip, so their tokens have no length of their own.
 */
function tokenBytesOf(
  json: TokenizerJson,
  entries: readonly (readonly [string, number])[],
  added: readonly AddedToken[],
  vocab: number,
): Float64Array | undefined {
  const kinds = decoderKinds(json.decoder);
  const byteLevel = kinds.includes("ByteLevel");
  if (!byteLevel && !kinds.includes("Metaspace") && !kinds.includes("ByteFallback")) return undefined;
  const lengths = new Float64Array(vocab);
  for (const [token, id] of entries) {
    lengths[id] = byteLevel
      ? [...token].length
      : byteToken.test(token)
        ? 1
        : Buffer.byteLength(token.replaceAll("\u2581", " "));
  }
  for (const { id, content, special } of added) {
    // Llama-2's list of special tokens has its single bytes too: they are text.
    const isByte = !byteLevel && byteToken.test(content);
    lengths[id] = isByte ? 1 : special === true ? 0 : Buffer.byteLength(content);
  }
  return lengths;
}

function decoderKinds(decoder: DecoderJson | null | undefined): readonly string[] {
  if (decoder === null || decoder === undefined) return [];
  return [decoder.type, ...(decoder.decoders ?? []).flatMap(decoderKinds)];
}
