// docs/study-file.md from the JSON Schema: one section per part of the file, one row per key. A test holds the page and
// the schema together; `node scripts/study_file_page.js` writes the page anew.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const schemaFile = new URL("../schemas/study.schema.json", import.meta.url);
const page = new URL("../docs/study-file.md", import.meta.url);

const introduction = `# The study file

A study file says what a model is made of, what to vary about it, and which short runs stand for it. It is YAML 1.2, in
UTF-8, at most 1 MiB. Only \`model\` is required. \`layermix init\` writes one to start from, \`layermix check\` checks it,
and \`preset:NAME\` can stand wherever a file can.

\`\`\`yaml
model:
  layers: 56
  hidden: 4096
  vocab: 256000
  mix: { mamba2: 43%, attention: 7%, mlp: 50% }
\`\`\`

## Numbers

| kind | written | meaning |
| --- | --- | --- |
| share | \`43%\`, \`0.43\` | a part of the whole, 0% to 100% |
| count | \`16384\`, \`20M\`, \`1.5B\` | K, M, B, T are powers of 1000 |
| length | \`512\`, \`4K\` | tokens; K is 1024 |
| memory | \`80GB\`, \`80GiB\` | MB, GB are powers of 1000; MiB, GiB powers of 1024 |

## Rules

- Unknown keys are errors, with the nearest key named; so are duplicate keys, merge keys (\`<<\`), tags and a second
  document. Anchors and aliases work, up to 50 of them.
- Every symbol of the layer pattern counts as one layer: a Transformer block is two, attention and MLP.
- Layer kinds and their symbols are in [layout.md](layout.md). \`model.blocks\` holds the options of each, and can name further shapes
  of a kind: \`global: { kind: attention, symbol: g, heads: 32 }\`.
- \`--set path=value\` overrides a value for one command: \`--set model.hidden=2048 --set "sweep.over.mix.attention=[8%]"\`.
  Lists take indices (\`proxy.tasks.0.weight=2\`); \`null\` removes a key.
- Relative paths in a file start from the folder of the file.
`;

const readSchema = () => JSON.parse(readFileSync(schemaFile, "utf8"));

/** Sections of the page in order: heading, path in the schema. */
const sections = (schema) => [
  ["The file", ""],
  ["model", "model"],
  ["model.mix", "mix"],
  ["model.norm", "norm"],
  ["model.scaling", "scaling"],
  ...Object.keys(schema.$defs.blocks.properties).map((kind) => [`model.blocks.${kind}`, kind]),
  ["model.blocks.NAME", "namedKind"],
  ["sweep", "sweep"],
  ["proxy", "proxy"],
  ["proxy.model", "proxyModel"],
  ["proxy.optimizer", "optimizer"],
  ["proxy.tasks", "task"],
  ["rank", "rank"],
  ["project", "project"],
];

function code(value) {
  const text =
    typeof value === "string"
      ? value
      : JSON.stringify(value).replaceAll('"', "").replaceAll(",", ", ").replaceAll(":", ": ");
  return `\`${text}\``;
}

function row(root, key, node, required) {
  const target =
    node.$ref === undefined ? node : { ...root.$defs[node.$ref.replace("#/$defs/", "")], ...node };
  const example = target.examples?.[0];
  const value = required
    ? "required"
    : target.default === undefined || target.type === "object"
      ? ""
      : code(target.default);
  return `| \`${key}\` | ${target.description.replaceAll("|", "\\|")} | ${value} | ${example === undefined ? "" : code(example).replaceAll("|", "\\|")} |`;
}

function section(root, [title, name]) {
  const node = name === "" ? root : root.$defs[name];
  const rows = Object.entries(node.properties).map(([key, child]) =>
    row(root, key, child, node.required?.includes(key)),
  );
  const heading = name === "" ? title : `\`${title}\``;
  return [
    `## ${heading}`,
    "",
    node.description,
    "",
    "| key | meaning | default | example |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

/** The whole page. */
export function studyFilePage() {
  const root = readSchema();
  return [introduction, ...sections(root).map((entry) => section(root, entry))].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, studyFilePage());
