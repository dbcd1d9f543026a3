// Writes oclif.manifest.json: the list of commands with their flags, so that a start loads the one command it runs
// instead of all of them. Made after compiling; while it is missing, commands are discovered in dist/cli/commands.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Plugin } from "@oclif/core/config";

const root = fileURLToPath(new URL("..", import.meta.url));
const plugin = new Plugin({
  errorOnManifestCreate: true,
  ignoreManifest: true,
  respectNoCacheDefault: true,
  root,
  type: "core",
});
await plugin.load();
writeFileSync(new URL("../oclif.manifest.json", import.meta.url), JSON.stringify(plugin.manifest));
console.log(`oclif.manifest.json: ${Object.keys(plugin.manifest.commands).length} commands`);
