#!/usr/bin/env node
// The layermix executable. `--version` is answered at once; everything else goes through oclif (src/cli/main.ts).

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const argv = process.argv.slice(2);

if (argv[0] === "--version" || argv[0] === "-v") {
  const { name, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`);
} else {
  const { main } = await import("../dist/cli/main.js");
  await main(argv, root);
}
