// The JSON Schema of study files as data: for `schema print`, and for the names that messages suggest.

import { readFileSync } from "node:fs";

/** The schemas that come with layermix, by the name `schema print` takes. */
export const schemaFiles: Readonly<Record<string, string>> = {
  study: "study.schema.json",
  hardware: "hardware.schema.json",
};

/** The text of a schema file. */
export function readSchemaText(name: keyof typeof schemaFiles): string {
  return readFileSync(new URL(`../../schemas/${schemaFiles[name]}`, import.meta.url), "utf8");
}

export function readStudySchema(): unknown {
  return JSON.parse(readSchemaText("study"));
}
