// The README shows what the tool prints: every command in a console block runs here, and prints those lines.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { layermix } from "./cli/layermix.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");

/** Commands that train are shown in the README, but take minutes. */
const slow = /^(sweep|train)\b/;

interface Capture {
  readonly command: string;
  readonly output: string;
}

function captures(): Capture[] {
  const blocks = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = "", ...lines] = part.split("\n");
        return { command, output: lines.join("\n").trimEnd() };
      }),
  );
}

describe("README", () => {
  const shown = captures().filter(({ command }) => !slow.test(command.replace(/^layermix /, "")));

  it("shows the commands that matter first", () => {
    const names = captures().map(({ command }) => command.split(" ")[1]);
    for (const name of ["sweep", "plan", "pattern", "check"]) assert.ok(names.includes(name), name);
  });

  for (const { command, output } of shown) {
    it(`$ ${command}`, async () => {
      const [program, ...args] = command.split(" ");
      assert.equal(program, "layermix");
      const { stdout, stderr } = await layermix(args, {
        cwd: `${root}docs/examples`,
        env: { COLUMNS: "100" },
      });
      const hints = /^(Next: .*|warning.*)$/gm;
      assert.equal(`${stdout}${stderr.replace(hints, "")}`.trimEnd(), output);
    });
  }

  it("links to files that exist", () => {
    for (const [, target = ""] of readme.matchAll(/\]\(([^)#]+)\)/g)) {
      if (!/^https?:/.test(target)) readFileSync(`${root}${target}`);
    }
  });
});
