// Writes what the layer kinds say about themselves into schemas/study.schema.json: `npm run schema`.

import { readFileSync, writeFileSync } from "node:fs";
import { withLayerKinds } from "../src/spec/kind_schemas.js";

const file = new URL("../schemas/study.schema.json", import.meta.url);
const schema = withLayerKinds(JSON.parse(readFileSync(file, "utf8")));
writeFileSync(file, `${JSON.stringify(schema, undefined, 2)}\n`);
