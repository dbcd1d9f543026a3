// Compiles schemas/*.schema.json into validators (schemas/compiled/*.mjs), so that no command pays for it at start.
// `x-expected` annotates a schema with what messages call its values; ajv ignores it.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import standalone from "ajv/dist/standalone/index.js";

const folder = new URL("../schemas/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(`${name}.schema.json`, folder), "utf8"));
const ajv = new Ajv2020({
  allErrors: true,
  allowUnionTypes: true,
  code: { esm: true, lines: true, source: true },
  discriminator: true,
  strict: true,
  strictRequired: true,
  strictTypes: true,
  verbose: true,
});
ajv.addKeyword({ keyword: "x-expected", schemaType: "string" });
ajv.addSchema(read("study"));
ajv.addSchema(read("hardware"));
ajv.addSchema({ $id: "layermix:model", $ref: "layermix:study#/$defs/model" });

const code = standalone.default(ajv, {
  validateStudy: "layermix:study",
  validateModel: "layermix:model",
  validateHardware: "layermix:hardware",
});
// ajv's standalone output requires its run-time helpers the CommonJS way even in ES modules.
const module = code.replace(
  /const (\w+) = require\("([^"]+)"\)\.default;/g,
  (_, name, path) => `import ${name}Module from "${path}.js";\nconst ${name} = ${name}Module.default;`,
);
mkdirSync(new URL("compiled/", folder), { recursive: true });
writeFileSync(new URL("compiled/study.mjs", folder), module);
