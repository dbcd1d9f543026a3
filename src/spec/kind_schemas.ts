// What the JSON Schema of study files says about layer kinds, made from the kinds themselves: their options, their
// shares in a mix, their symbols in a pattern. `npm run schema` writes it into schemas/study.schema.json, and a test
// holds the two together, so that a new kind is described by its own file alone.

import type { Block } from "../block/block.js";
import { blocks } from "../block/registry.js";

type Json = Readonly<Record<string, unknown>>;

/** A JSON Schema with definitions. */
export interface SchemaDocument {
  readonly $defs: Readonly<Record<string, Json>>;
}

const symbolSchema: Json = {
  title: "Symbol",
  description: "One letter or digit for patterns; not that of a built-in kind.",
  type: "string",
  pattern: "^[A-Za-z0-9]$",
  "x-expected": "one letter or digit",
  examples: ["g"],
};

const kindSchema: Json = {
  title: "Kind",
  description: "The layer kind that this is a shape of.",
  type: "string",
  enum: blocks.map(({ kind }) => kind),
  examples: ["attention"],
};

function options({ schema }: Block): Json {
  const { title, description, properties, examples } = schema;
  return { title, description, type: "object", additionalProperties: false, properties, examples };
}

/** "Mamba-2" of "Mamba-2 options". */
function name({ schema }: Block): string {
  return schema.title.replace(/ options$/, "");
}

function shareOf(block: Block): Json {
  return {
    $ref: "#/$defs/share",
    title: name(block),
    description: `Share of ${block.title === "Attention" ? "attention" : block.title} layers (symbol ${block.symbol}).`,
  };
}

/** Options of a kind that the study file names itself: those of the kind that it is a shape of. */
const namedKind: Json = {
  title: "Named kind",
  description:
    "Another shape of a kind, under a name of its own: kind, symbol and the options of the kind. The name can be used in mix.",
  type: "object",
  required: ["kind", "symbol"],
  properties: { kind: kindSchema, symbol: symbolSchema },
  examples: [{ kind: "attention", symbol: "g", heads: 32 }],
  allOf: blocks.map((block) => ({
    if: { type: "object", required: ["kind"], properties: { kind: { const: block.kind } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      type: "object",
      additionalProperties: false,
      properties: { kind: kindSchema, symbol: symbolSchema, ...block.schema.properties },
    },
  })),
};

/** `schema` with everything about layer kinds written anew. */
export function withLayerKinds<S extends SchemaDocument>(schema: S): S {
  const { mix, blocks: options_, ...others } = schema.$defs;
  const symbols = blocks.map((block) => `${block.symbol} ${name(block)}`).join(", ");
  const pattern: Json = {
    ...(others.model?.properties as Readonly<Record<string, Json>> | undefined)?.pattern,
    description: `Every layer spelt out, one symbol each: ${symbols}, and those of kinds that blocks names; | cuts the pipeline. Instead of mix.`,
  };
  const withPattern = (model: Json | undefined): Json => ({
    ...model,
    properties: { ...(model?.properties as Json), pattern },
  });
  return {
    ...schema,
    $defs: {
      ...others,
      model: withPattern(others.model),
      proxyModel: withPattern(others.proxyModel),
      mix: {
        ...mix,
        additionalProperties: { $ref: "#/$defs/share" },
        properties: Object.fromEntries(blocks.map((block) => [block.kind, shareOf(block)])),
      },
      blocks: {
        ...options_,
        description:
          "Options by layer kind; what is not given follows from the hidden width. Further names declare kinds: { kind, symbol, ... }.",
        additionalProperties: { $ref: "#/$defs/namedKind" },
        properties: Object.fromEntries(blocks.map(({ kind }) => [kind, { $ref: `#/$defs/${kind}` }])),
      },
      ...Object.fromEntries(blocks.map((block) => [block.kind, options(block)])),
      namedKind,
    },
  };
}
