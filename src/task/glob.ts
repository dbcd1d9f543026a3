// Small globs for corpus files: * and ? within a name, ** for any depth of folders. Names that begin with a dot match
// only a pattern that says so. Matches are sorted by name, so a corpus reads the same on every file system.

import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";

export interface GlobMatch {
  /** As the user would write it: relative to the folder when the pattern was. */
  readonly name: string;
  readonly path: string;
}

/** Files that match; a pattern without wildcards is returned as it is, whether or not it exists. */
export async function expandGlob(pattern: string, folder: string): Promise<readonly GlobMatch[]> {
  const segments = pattern.split("/");
  const wild = segments.findIndex((segment) => /[*?]/.test(segment));
  if (wild < 0) return [{ name: pattern, path: resolve(folder, pattern) }];
  const prefix = segments.slice(0, wild).join("/");
  const base = pattern.startsWith("/") && prefix === "" ? "/" : prefix;
  const names = await walk(resolve(folder, base), base, segments.slice(wild));
  const unique = [...new Set(names)].sort();
  return unique.map((name) => ({ name, path: resolve(folder, name) }));
}

async function walk(path: string, name: string, segments: readonly string[]): Promise<string[]> {
  const [segment, ...rest] = segments as [string, ...string[]];
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  const found: string[] = [];
  if (segment === "**" && rest.length > 0) found.push(...(await walk(path, name, rest)));
  for (const entry of entries) {
    const isFolder = entry.isDirectory();
    const childName = name === "" ? entry.name : join(name, entry.name);
    const childPath = join(path, entry.name);
    if (segment === "**") {
      if (entry.name.startsWith(".")) continue;
      if (isFolder) found.push(...(await walk(childPath, childName, segments)));
      else if (rest.length === 0) found.push(childName);
    } else if (matches(segment, entry.name)) {
      if (rest.length > 0 && isFolder) found.push(...(await walk(childPath, childName, rest)));
      else if (rest.length === 0 && !isFolder) found.push(childName);
    }
  }
  return found;
}

/** One path segment against one name, by two indices and a single way back to the last star: no regex, no blow-up. */
export function matches(pattern: string, name: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  let p = 0;
  let n = 0;
  let star = -1;
  let retry = 0;
  while (n < name.length) {
    if (pattern[p] === "*") {
      star = p++;
      retry = n;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[n])) {
      p += 1;
      n += 1;
    } else if (star >= 0) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}
