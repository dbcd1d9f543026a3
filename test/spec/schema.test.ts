// The JSON Schema is documentation as well as a check: every key is described, every example is valid, and it agrees
// with the rooms that know more than it does. docs/study-file.md is made from it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { studyFilePage } from "../../scripts/study_file_page.js";
import { blocks } from "../../src/block/registry.js";
import { metrics } from "../../src/estimate/metrics.js";
import { whereMetrics } from "../../src/spec/check_sweep.js";
import { type SchemaDocument, withLayerKinds } from "../../src/spec/kind_schemas.js";
import { modelPaths } from "../../src/spec/model_paths.js";
import { readStudySchema } from "../../src/spec/study_schema.js";

interface Node {
  readonly $ref?: string;
  readonly title?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly $defs?: Readonly<Record<string, Node>>;
}

const schema = readStudySchema() as Node;
const resolve = (node: Node): Node =>
  node.$ref === undefined ? node : { ...schema.$defs![node.$ref.replace("#/$defs/", "")], ...node };

/** Every key of every mapping, with its schema and its place in the schema. */
function keys(): { readonly path: string; readonly pointer: string; readonly node: Node }[] {
  const found: { path: string; pointer: string; node: Node }[] = [];
  const visit = (value: unknown, pointer: string): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, child] of Object.entries((value as Node).properties ?? {})) {
      const place = `${pointer}/properties/${key}`;
      found.push({
        path: place.replaceAll("/properties/", ".").replace("/$defs/", ""),
        pointer: place,
        node: child,
      });
    }
    for (const [key, child] of Object.entries(value))
      if (key !== "examples" && key !== "if") visit(child, `${pointer}/${key}`);
  };
  visit(schema, "");
  return found;
}

describe("the JSON Schema", () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  ajv.addKeyword({ keyword: "x-expected", schemaType: "string" });
  ajv.addSchema(schema as object);

  it("describes every key, and shows an example of every value", () => {
    assert.ok(keys().length > 80);
    for (const { path, node } of keys()) {
      const { title, description, examples, properties } = resolve(node);
      assert.ok(title, `${path} has no title`);
      assert.match(description ?? "", /\.$/, `${path} has no description`);
      assert.ok(properties !== undefined || examples !== undefined, `${path} has no example`);
    }
  });

  it("has valid examples and defaults", () => {
    for (const { path, pointer, node } of keys()) {
      const validate = ajv.getSchema(`layermix:study#${pointer}`) ?? assert.fail(pointer);
      const { examples = [], default: value } = resolve(node);
      for (const example of value === undefined ? examples : [...examples, value]) {
        assert.ok(
          validate(example),
          `${path}: ${JSON.stringify(example)}: ${ajv.errorsText(validate.errors)}`,
        );
      }
    }
  });

  it("knows the layer kinds that are built, in the mix and in blocks", () => {
    const kinds = blocks.map((block) => block.kind).sort();
    for (const name of ["mix", "blocks"])
      assert.deepEqual(Object.keys(schema.$defs![name]!.properties!).sort(), kinds);
  });

  it("says of the layer kinds what they say of themselves (npm run schema writes it anew)", () => {
    assert.deepEqual(schema, withLayerKinds(schema as unknown as SchemaDocument));
  });

  it("lets a sweep vary every value of the model", () => {
    const paths = modelPaths();
    for (const path of [
      "layers",
      "hidden",
      "vocab",
      "tie_embeddings",
      "pattern",
      "placement",
      "mix.attention",
      "norm.eps",
      "norm.kind",
    ]) {
      assert.ok(paths.includes(path), path);
    }
    for (const { kind } of blocks)
      assert.ok(
        paths.some((path) => path.startsWith(`blocks.${kind}.`)),
        kind,
      );
  });

  it("agrees with the metrics that estimate knows", () => {
    assert.deepEqual([...whereMetrics].sort(), Object.keys(metrics).sort());
  });

  it("is what docs/study-file.md says (node scripts/study_file_page.js writes it anew)", () => {
    const page = readFileSync(new URL("../../docs/study-file.md", import.meta.url), "utf8");
    assert.equal(page, studyFilePage());
  });
});
