// Codes 1xxx: the study file. 10xx reading, 11xx schema, 12xx model, 13xx sweep, 14xx proxy and rank, 15xx references.

import type { CodeTable } from "../code_table.js";

export const specCodes: CodeTable = {
  LMX1001: {
    title: "File cannot be read",
    explanation: "The study file does not exist, is a folder, or may not be read by this user.",
    help: "Check the path; `-` reads stdin and preset:NAME reads a preset.",
  },
  LMX1002: {
    title: "File too large",
    explanation: `A study file may have at most 1 MiB and 100,000 YAML tokens (words, numbers and punctuation). Study files are a few kilobytes; a larger one is most likely data
(a corpus, a checkpoint) given by mistake.`,
  },
  LMX1003: {
    title: "Not UTF-8 text",
    explanation:
      "Study files are UTF-8 (a byte order mark is accepted). UTF-16, Latin-1 and binary files are refused.",
    help: "Save the file as UTF-8.",
  },
  LMX1004: {
    title: "Nested too deeply",
    explanation:
      "Collections may be nested 64 levels deep. No study file needs more than eight; deeper nesting is refused before parsing.",
  },
  LMX1005: {
    title: "YAML syntax error",
    explanation: `The text is not valid YAML 1.2. The usual causes: a key without a space after its colon, a bracket or
quote that is never closed, keys of one mapping at different indentations.`,
  },
  LMX1006: {
    title: "Duplicate key",
    explanation: "A key occurs twice in the same mapping. One of the two values would be ignored silently.",
    help: "Remove one of them.",
  },
  LMX1007: {
    title: "Merge keys are not supported",
    explanation: `\`<<\` was dropped from YAML in version 1.2 and makes it hard to see what a file says. Plain aliases
(\`*name\`) work.`,
    help: "Write the keys out, or use --set and sweep.over for variants of one file.",
  },
  LMX1008: {
    title: "Bad or too many aliases",
    explanation: `An alias (\`*name\`) must follow its anchor (\`&name\`), must not contain itself, and a file may use at
most 50 of them: a few nested aliases can stand for billions of values.`,
  },
  LMX1009: {
    title: "Reserved key",
    explanation:
      "`__proto__`, `constructor` and `prototype` have a meaning in JavaScript and are refused as keys.",
  },
  LMX1010: {
    title: "Number is not finite",
    explanation: "`.inf`, `.nan` and numbers beyond 1.8e308 are refused everywhere.",
  },
  LMX1011: {
    title: "More than one document",
    explanation: "A study file holds one YAML document; `---` may only stand at its start.",
    help: "Put each study into a file of its own.",
  },
  LMX1012: {
    title: "Empty file",
    explanation: "The file has no content besides comments.",
    help: "`layermix init study.yaml` writes a file to start from.",
  },
  LMX1013: {
    title: "Tab used for indentation",
    explanation: "YAML indents with spaces only; a tab has no agreed width.",
    help: "Replace the tab by spaces.",
  },
  LMX1014: {
    title: "Control character",
    explanation:
      "The file holds a character that no text file has (NUL, ESC, ...). It is probably binary or damaged.",
  },
  LMX1015: {
    title: "Tag not supported",
    explanation:
      "YAML tags such as `!!js/function` or `!include` are not supported: a study file is plain data.",
    help: "Remove the tag.",
  },
  LMX1016: {
    title: "Key is not a plain text",
    explanation: "Keys are plain words. Lists, mappings and empty keys cannot be keys.",
  },
  LMX1101: {
    title: "Unknown key",
    explanation: `The key does not exist at this place. Unknown keys are errors because a misspelt option would otherwise
be ignored silently. docs/study-file.md lists all keys.`,
    help: "Check the spelling and the indentation; the message names the nearest key.",
  },
  LMX1102: {
    title: "Missing key",
    explanation:
      "A required key is not there. Only `model` is required at the top; it needs `hidden` and `vocab`.",
  },
  LMX1103: {
    title: "Wrong kind of value",
    explanation: `The value has the wrong type or format. Shares are \`43%\` or \`0.43\`; counts take K, M, B as powers of
1000 (\`20M\`); lengths take K as 1024 (\`4K\`); memory takes MB, GB (powers of 1000) and MiB, GiB (powers of 1024).`,
  },
  LMX1104: {
    title: "Value not in the list",
    explanation: "The value must be one of a fixed list of names.",
    help: "The message lists the names and says which one is nearest.",
  },
  LMX1105: {
    title: "Value out of range",
    explanation: "The number is smaller or larger than is possible or sensible at this place.",
  },
  LMX1106: {
    title: "Too few or too many items",
    explanation: "A list or mapping has fewer or more entries than it may have, or the same entry twice.",
  },
  LMX1107: {
    title: "Unsupported format version",
    explanation: "`layermix:` names the version of the study file format. This layermix reads version 1.",
    help: "Update layermix, or write `layermix: 1`.",
  },
  LMX1201: {
    title: "Pattern beside mix",
    explanation: `\`model.mix\` (shares that are planned into layers) and \`model.pattern\` (every layer spelt out) are two
ways to say the same thing; a file uses one of them. \`placement\` belongs to \`mix\`.`,
    help: "Remove one of the two.",
  },
  LMX1202: {
    title: "No layout",
    explanation: `A model needs its layers: either \`mix\` with \`layers\`, or \`pattern\`:

    model:
      layers: 56
      mix: { mamba2: 43%, attention: 7%, mlp: 50% }`,
  },
  LMX1203: {
    title: "Shares do not total 100%",
    explanation: `The shares of \`model.mix\` are parts of the layers, and must total 100%. Shares are written as percentages
(\`43%\`) or fractions (\`0.43\`). A layer here is one symbol of the pattern: a Transformer block is two of them,
attention and mlp, so a Transformer is attention 50%, mlp 50%.`,
  },
  LMX1204: {
    title: "Layers do not match the pattern",
    explanation:
      "With `pattern` the number of layers follows from it: one symbol is one layer (`|` and `/...` do not count).",
    help: "Remove `layers`, or make the pattern as long.",
  },
  LMX1205: {
    title: "Placement impossible",
    explanation: `\`placement: { at: [...] }\` lists the 0-based indices of the attention layers: inside the model, without
repetition, and as many as the mix asks for.`,
  },
  LMX1206: {
    title: "Block options do not fit",
    explanation: `The options of a layer kind contradict each other or the hidden width: heads not divisible by kv_heads,
groups that do not divide the heads, an inner width that is not a multiple of head_dim.`,
  },
  LMX1207: {
    title: "Unknown layer kind",
    explanation: `No layer kind has this name, or it is known but not built yet. The kinds, with their symbols in patterns:

    mixers with a state     mamba2 M, mamba1 1, gated_deltanet G, kda K, rg_lru R, short_conv S, lightning L
    attention               attention *, sliding_attention W, mla +
    composed                parallel P (mixers side by side), shared_transformer Z (weights shared by layers)
    feed-forward            mlp -, moe E

A study file can declare further shapes of a kind under model.blocks:

    blocks:
      global: { kind: attention, symbol: g, heads: 32 }`,
  },
  LMX1208: {
    title: "Heads beside expand",
    explanation: `The inner width of a Mamba-2 layer is given once: either \`expand\` (inner width = expand x hidden, heads =
inner width / head_dim) or \`heads\` (inner width = heads x head_dim).`,
    help: "Remove one of the two.",
  },
  LMX1209: {
    title: "Options of a kind that is not used",
    explanation:
      "`model.blocks` has options for a layer kind that neither the mix, the pattern nor the sweep uses.",
  },
  LMX1211: {
    title: "Symbol that another kind has",
    explanation: `A kind that model.blocks names has a symbol for patterns, one letter or digit. Symbols of built-in kinds
(layermix explain LMX1207) and of other named kinds are taken.`,
    help: "Choose another letter or digit.",
  },
  LMX1301: {
    title: "Sweep path does not exist",
    explanation: `\`sweep.over\` maps paths below \`model\` to the values they take: \`mix.attention\`, \`hidden\`,
\`blocks.mamba2.state\`.`,
  },
  LMX1302: {
    title: "Fill is missing",
    explanation: `When shares are swept, the others have to give way. \`fill\` names the kind that takes what is left of 100%:

    sweep:
      over: { mix.attention: [0%, 8%, 50%] }
      fill: mamba2`,
    help: "Add fill, for example `fill: mamba2`.",
  },
  LMX1303: {
    title: "Fill does not fit",
    explanation:
      "`fill` must be a layer kind that is not itself an axis of the sweep, and needs a mix to fill.",
  },
  LMX1304: {
    title: "Unknown metric",
    explanation: "`where` constrains metrics that are known before any training: parameters, FLOPs, memory.",
    help: "The message lists the metrics.",
  },
  LMX1305: {
    title: "Swept shares exceed 100%",
    explanation:
      "Even the smallest values of the axes leave nothing for the other kinds: every candidate would be dropped.",
  },
  LMX1306: {
    title: "Bounds are empty",
    explanation: "A `where` constraint needs min or max, and min must not be above max.",
  },
  LMX1307: {
    title: "Range does not fit",
    explanation:
      "An axis of the sweep lists its values. A share (`mix.attention`) can be a range instead, `{ from: 0%, to: 50% }`, which strategies draw points from: `from` below `to`, at most 100%.",
  },
  LMX1308: {
    title: "Range without a number of draws",
    explanation: `A range holds endlessly many candidates, so the strategy has to say how many to draw:

    strategy: { sobol: { trials: 16 } }
    strategy: { asha: { rungs: 3, keep: 33%, trials: 27 } }`,
  },
  LMX1309: {
    title: "Bounds of an evolution do not fit",
    explanation:
      "`layers` and the entries of `counts` are a number of layers, or [least, most]; `counts` has layer kinds as its keys.",
  },
  LMX1310: {
    title: "Evolution with a proxy of other layers",
    explanation:
      "Evolution searches the order of the layers. Its proxies must therefore have the very layers of their candidates; a narrower width is fine (`proxy.model.hidden`), another depth or placement is not.",
  },
  LMX1401: {
    title: "Tokens do not divide",
    explanation: "A batch holds whole sequences: batch_tokens must be a multiple of sequence.",
  },
  LMX1402: {
    title: "Run shorter than one batch",
    explanation: "`tokens` is the length of the whole run and must hold at least one batch (`batch_tokens`).",
  },
  LMX1403: {
    title: "Weights total zero",
    explanation: "The score weighs the tasks; at least one weight must be above zero.",
  },
  LMX1404: {
    title: "Warmup and decay overlap",
    explanation:
      "With `schedule: wsd` the warmup and the final decay must fit into one run: warmup + decay <= 100%.",
  },
  LMX1405: {
    title: "Nothing to rank by",
    explanation: "`rank.by` is score, loss, or the name of one of the tasks of the proxy.",
  },
  LMX1406: {
    title: "Seeds without room",
    explanation:
      "`seeds: { min, max, until: decided }` begins with min seeds for every candidate and adds seeds for those tied with the best, up to max: min must be below max.",
  },
  LMX1407: {
    title: "Unknown cost",
    explanation:
      "`rank.objectives` names costs that are known from the plan alone: decode_bytes, training_memory and others.",
    help: "The message lists the costs.",
  },
  LMX1501: {
    title: "Unknown preset",
    explanation: "The file names a preset that does not exist.",
    help: "`layermix preset list` shows all presets.",
  },
  LMX1502: {
    title: "Unknown hardware",
    explanation: `project.hardware, and --hardware, name a device that comes with layermix (h200), or a hardware file with its
path or extension (./my-gpu.yaml).`,
    help: "`layermix hardware list` shows all devices; `layermix calibrate` writes a file for this machine.",
  },
  LMX1503: {
    title: "Malformed hardware file",
    explanation: `A hardware file holds the numbers of one device (schemas/hardware.schema.json) and, where it was calibrated,
how long operations took on it. Operations have the kinds and fields that \`layermix calibrate\` writes.`,
    help: "Write the file anew with `layermix calibrate`, or correct the value at the place of the message.",
  },
};
