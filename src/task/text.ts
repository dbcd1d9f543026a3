// Next-token prediction on the user's own text: bytes (vocab 256), a Hugging Face tokenizer, or tokens that Megatron,
// llm.c or nanoGPT wrote. The files are one row of tokens, read a window at a time, and cut into equal segments of about
// 65,536 tokens (at least 32 sequences); the last `held_out` share of every segment is never trained on. Training
// windows lie inside the training part of one segment. Held-out windows tile the held-out blocks; each token after a
// block's first is predicted once. Loss is in nats per token; bits per byte = nats of the measured tokens / ln 2 / bytes
// of text they stand for, comparable across models and tokenizers.

import { type Corpus, type CorpusFormat, corpusFormats, openCorpus } from "../corpus/open_corpus.js";
import { largestToken } from "../corpus/token_store.js";
import { bytesTokenizer, readTokenizer, type Tokenizer } from "../corpus/tokenizer.js";
import { exitCodes, LayermixError } from "../diag/diagnostic.js";
import { expandGlob, type GlobMatch } from "./glob.js";
import { evaluationTokens } from "./options.js";
import { evaluationSlice, fillBatch, rowsFor } from "./rows.js";
import type {
  EvaluatedBatch,
  Metrics,
  PrimaryMetric,
  Task,
  TaskContext,
  TaskKind,
  TaskOptions,
} from "./task.js";
import { megatronWindows, randomWindows } from "./text_windows.js";

const perByte: PrimaryMetric = { name: "bitsPerByte", direction: "lower", title: "bits/byte" };
const perToken: PrimaryMetric = { name: "loss", direction: "lower", title: "loss/token" };
const filesShown = 8;
/** Corpora up to this many tokens are read through to find their vocabulary; larger ones have to be told. */
const scannedTokens = 2 ** 30;

/** The files of the patterns, in the user's order; the matches of one pattern are sorted by name. Throws LMX7004. */
async function findFiles(patterns: readonly string[], folder: string): Promise<readonly GlobMatch[]> {
  const found: GlobMatch[] = [];
  for (const pattern of patterns) {
    const matches = await expandGlob(pattern, folder);
    if (matches.length === 0) throw fault("LMX7004", `Expected files at ${pattern}, found none`, folder);
    found.push(...matches);
  }
  return found;
}

async function findTokenizer(name: string, folder: string): Promise<Tokenizer> {
  if (name === "bytes") return bytesTokenizer;
  const [match] = await expandGlob(name, folder);
  if (match === undefined) throw fault("LMX7004", `Expected a tokenizer.json at ${name}, found none`, folder);
  return readTokenizer(match.path, match.name);
}

/** Opens the corpus of a text task. Throws LMX7004, LMX7020 to LMX7027. */
export async function textCorpus(
  options: TaskOptions,
  folder: string,
): Promise<Corpus & { readonly tokenizer: Tokenizer }> {
  const tokenizer = await findTokenizer(options.tokenizer as string, folder);
  try {
    const corpus = await openCorpus({
      files: await findFiles(options.files as readonly string[], folder),
      format: options.format as CorpusFormat,
      field: options.field as string,
      tokenizer,
      documentEnd: options.document_end as string,
    });
    return { ...corpus, tokenizer };
  } catch (error) {
    // Relative names start somewhere: whoever mistyped one should see where.
    if (!(error instanceof LayermixError) || error.diagnostics[0]?.code !== "LMX7004") throw error;
    throw fault("LMX7004", error.diagnostics[0].message, folder, error);
  }
}

async function create(options: TaskOptions, context: TaskContext): Promise<Task> {
  const { sequence, folder } = context;
  const corpus = await textCorpus(options, folder);
  const { tokens: store, tokenizer } = corpus;
  const told = !corpus.encoded || tokenizer !== bytesTokenizer; // the tokenizer says what the tokens mean
  const vocab = told ? tokenizer.vocab : vocabOf(corpus, options.vocab as number);
  const tokenBytes = told ? tokenizer.tokenBytes : undefined;
  const unit = !corpus.encoded && tokenizer === bytesTokenizer ? "bytes" : "tokens";
  const heldOutShare = options.held_out as number;
  const windows = naming(corpus, () =>
    options.order === "megatron"
      ? megatronWindows(megatronOf(corpus), heldOutShare, options.epochs as number, context)
      : randomWindows(store.count, heldOutShare, context, unit),
  );
  const evaluationRows = Math.min(
    windows.heldOutWindows,
    rowsFor(options.evaluation_tokens as number, sequence),
  );
  const primary = tokenBytes === undefined ? perToken : perByte;
  // One row with the target after it; what is not read stays -1.
  const line = new Int32Array(sequence + 1);
  const layDown = (tokens: Int32Array, targets: Int32Array, offset: number, read: (put: Put) => void) => {
    let length = 0;
    read((start, count, at) => {
      store.read(start, count, line, at);
      length = at + count;
    });
    for (let i = 0; i < length; i++) if (line[i]! >= vocab) throw outside(line[i]!, vocab, corpus);
    for (let i = 0; i + 1 < length; i++) {
      tokens[offset + i] = line[i]!;
      targets[offset + i] = line[i + 1]!;
    }
  };
  return {
    name: "text",
    vocab,
    sequence,
    primary,
    identity: identityOf(options, corpus),
    describe: () => [
      ...describeFiles(corpus),
      ...describeTokens(corpus, vocab, told, tokenBytes !== undefined),
      `text: ${grouped(windows.trainTokens)} ${unit} to train on, ${grouped(windows.heldOutTokens)} held out, ` +
        `${evaluationRows} held-out rows measured`,
    ],
    trainBatch: (step, rows) =>
      fillBatch(rows, sequence, 0, (tokens, targets, offset, row) =>
        layDown(tokens, targets, offset, (put) => windows.train(step, row, rows, put)),
      ),
    evaluationRows,
    evaluationBatches: (rows) => Math.ceil(evaluationRows / rows),
    evaluationBatch: (index, rows) => {
      const slice = evaluationSlice(evaluationRows, index, rows);
      return fillBatch(slice.rows, sequence, slice.first, (tokens, targets, offset, row) => {
        // Rows measured are spread evenly over all held-out windows.
        const window = Math.floor((row * windows.heldOutWindows) / evaluationRows);
        layDown(tokens, targets, offset, (put) => windows.heldOut(window, put));
      });
    },
    measure: (evaluated) => measure(evaluated, tokenBytes),
  };
}

/** Names the files where they are too short. */
function naming<T>({ files }: Corpus, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const [found] = error instanceof LayermixError ? error.diagnostics : [];
    if (found?.code !== "LMX7005") throw error;
    const [first] = files;
    const more = files.length > 1 ? ` and ${files.length - 1} more` : "";
    throw new LayermixError(
      { ...found, message: `${found.message} in ${first?.name}${more}` },
      exitCodes.invalidFile,
    );
  }
}

type Put = (start: number, count: number, at: number) => void;

/** Mean nats per token; with the bytes of every token also bits per byte of the measured text. */
function measure(evaluated: Iterable<EvaluatedBatch>, tokenBytes: Float64Array | undefined): Metrics {
  let [asked, nats, bytes] = [0, 0, 0];
  for (const { batch, loss } of evaluated) {
    for (const [i, target] of batch.targets.entries()) {
      if (target < 0) continue;
      asked += 1;
      nats += loss[i]!;
      bytes += tokenBytes?.[target] ?? 0;
    }
  }
  return { loss: nats / asked, ...(tokenBytes !== undefined && { bitsPerByte: nats / bytes / Math.LN2 }) };
}

/** Plain bytes are identified as ever; whatever else decides the tokens is added. */
function identityOf(options: TaskOptions, corpus: OpenedCorpus): unknown {
  const { files, formats, tokenizer, documentEnd } = corpus;
  const { held_out, evaluation_tokens, order, epochs, field, vocab } = options;
  return {
    task: "text",
    version: 1,
    files: files.map((file) => file.sha256),
    tokenizer: tokenizer.identity,
    held_out,
    evaluation_tokens,
    ...(!isPlain(corpus) && { formats, field, vocab, order, epochs, document_end: documentEnd ?? null }),
  };
}

type OpenedCorpus = Corpus & { readonly tokenizer: Tokenizer };

function describeFiles({ files, duplicates }: Corpus): readonly string[] {
  const shown = files.slice(0, filesShown);
  const rest = files.slice(filesShown);
  const restBytes = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    ...shown.map((file) => `text: ${file.name} (${grouped(file.bytes)} bytes)`),
    ...(rest.length === 0 ? [] : [`text: and ${rest.length} more files (${grouped(restBytes)} bytes)`]),
    ...duplicates.map((name) => `text: ${name} skipped, same content as a file above`),
  ];
}

/** Bytes of plain text. */
function isPlain({ encoded, tokenizer, formats }: OpenedCorpus): boolean {
  return !encoded && tokenizer === bytesTokenizer && formats.every((format) => format === "text");
}

function describeTokens(
  corpus: OpenedCorpus,
  vocab: number,
  told: boolean,
  decodable: boolean,
): readonly string[] {
  const { tokenizer, documentEnd, formats, files } = corpus;
  if (isPlain(corpus)) return [];
  const name = told ? `tokenizer ${tokenizer.name}, ` : "no tokenizer given, ";
  const plain = formats.every((format) => format === "text");
  const ends =
    documentEnd === undefined || (plain && files.length === 1)
      ? ""
      : `, ${documentEnd} ${plain ? "between files" : "after each document"}`;
  const judged = decodable ? "" : "; judged by the loss per token: tokens have no length in bytes";
  return [`text: ${formats.join(", ")}; ${name}vocab ${grouped(vocab)}${ends}${judged}`];
}

/** Of tokens without a tokenizer: as told, else one more than the largest token. Throws LMX7028. */
function vocabOf({ tokens }: Corpus, told: number): number {
  if (told > 0) return told;
  if (tokens.count <= scannedTokens) return Math.max(1, largestToken(tokens) + 1);
  throw new LayermixError(
    {
      code: "LMX7028",
      severity: "error",
      message: `Expected vocab or tokenizer for a corpus of ${grouped(tokens.count)} tokens, got neither`,
      help: ["write the vocabulary the files were encoded with, for example vocab: 50257"],
    },
    exitCodes.invalidFile,
  );
}

function megatronOf({ megatron, formats }: Corpus) {
  if (megatron !== undefined) return megatron;
  throw new LayermixError(
    {
      code: "LMX7027",
      severity: "error",
      message: `Expected one Megatron dataset (.bin and .idx) for order: megatron, got ${formats.join(", ")}`,
      help: ["leave order out: windows are then drawn at random from any corpus"],
    },
    exitCodes.invalidFile,
  );
}

function outside(token: number, vocab: number, { files, tokenizer }: OpenedCorpus): LayermixError {
  const from = tokenizer === bytesTokenizer ? "the vocab given" : tokenizer.name;
  const message = `Expected tokens below ${vocab} (${from}) in ${files.map(({ name }) => name).join(", ")}, got ${token}`;
  const help = ["the files were encoded with another tokenizer, or vocab is too small"];
  return new LayermixError({ code: "LMX7022", severity: "error", message, help }, exitCodes.invalidFile);
}

function fault(code: "LMX7004", message: string, folder: string, cause?: Error): LayermixError {
  return new LayermixError(
    { code, severity: "error", message, help: [`relative names start from ${folder}`] },
    exitCodes.invalidFile,
    cause === undefined ? undefined : { cause },
  );
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

export const text: TaskKind = {
  name: "text",
  title: "next-token prediction on your own files",
  measures:
    "How well the model predicts natural text, in bits per byte. Differences between layer mixes are small here, often " +
    "within the noise of a few seeds; read it together with a recall task.",
  source: [
    "bits per byte = nats of the measured tokens / ln 2 / bytes of the text they stand for",
    "the last share of every segment of about 65,536 tokens is held out; windows never cross into it",
    "formats: Megatron-LM's indexed dataset, llm.c's and nanoGPT's token files, parquet, JSONL, plain text; order: megatron is that of its GPTDataset",
  ],
  options: [
    {
      name: "files",
      kind: "files",
      description: "File names or globs (*, ?, **), relative to the study file's folder or absolute.",
    },
    {
      name: "tokenizer",
      kind: "text",
      default: "bytes",
      expected: "bytes, or the name of a tokenizer.json",
      description:
        "How text becomes tokens: bytes, or a Hugging Face tokenizer.json. For token files it says what they were encoded with.",
    },
    {
      name: "format",
      kind: "choice",
      default: "auto",
      choices: corpusFormats,
      description:
        "What the files are; auto goes by name and header. nanoGPT's headerless files have to be named.",
    },
    {
      name: "field",
      kind: "text",
      default: "text",
      expected: "a name",
      description: "Field of JSONL lines, or column of parquet files, that holds the text.",
    },
    {
      name: "document_end",
      kind: "text",
      default: "",
      expected: "a token of the tokenizer",
      description:
        "Token put after each document; by default the tokenizer's own end of text, or a newline where it has none.",
    },
    {
      name: "vocab",
      kind: "integer",
      default: 0,
      minimum: 0,
      maximum: 16_777_216,
      description: "Vocabulary of token files without a tokenizer; 0 = one more than their largest token.",
    },
    {
      name: "order",
      kind: "choice",
      default: "random",
      choices: ["random", "megatron"],
      description:
        "Training windows anywhere, or Megatron's own order of one of its datasets, whose last documents are then held out.",
    },
    {
      name: "epochs",
      kind: "integer",
      default: 1,
      minimum: 1,
      maximum: 10_000,
      description: "Epochs that order: megatron shuffles together; after them it begins again.",
    },
    {
      name: "held_out",
      kind: "share",
      default: 0.1,
      minimum: 0.01,
      maximum: 0.5,
      description: "Share of every segment that is kept for measuring.",
    },
    evaluationTokens,
  ],
  primary: perByte,
  vocab: (options) => (options.tokenizer === "bytes" && options.format === "text" ? 256 : undefined),
  check: () => [],
  create,
};
