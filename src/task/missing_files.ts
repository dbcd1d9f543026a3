// Which files a text task asks for that are not there: what `check` can say without opening a corpus.

import { existsSync, statSync } from "node:fs";
import { expandGlob, type GlobMatch } from "./glob.js";

/** The patterns and the tokenizer of a task that no file matches - a folder is none -, with their place below the task. */
export async function missingFiles(
  options: Readonly<Record<string, unknown>>,
  folder: string,
): Promise<readonly { readonly place: string; readonly pattern: string }[]> {
  const { files, tokenizer } = options;
  const asked = Array.isArray(files) ? files.map((pattern, i) => ({ place: `files[${i}]`, pattern })) : [];
  if (typeof tokenizer === "string" && tokenizer !== "bytes")
    asked.push({ place: "tokenizer", pattern: tokenizer });
  const missing = [];
  for (const { place, pattern } of asked)
    if (typeof pattern === "string" && !(await expandGlob(pattern, folder)).some(isThere))
      missing.push({ place, pattern });
  return missing;
}

/** A name without wildcards may also be the prefix of Megatron's two files. */
function isThere({ path }: GlobMatch): boolean {
  return (existsSync(path) && !statSync(path).isDirectory()) || existsSync(`${path}.idx`);
}
