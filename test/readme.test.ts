// The README and docs/ show what the tool prints: every command in a console block runs here, and prints those lines. A line
// of three dots stands for what is left out.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { layermix } from "./cli/layermix.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const pages = [
  "README.md",
  ...readdirSync(`${root}docs`).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];
const textOf = (page: string): string => readFileSync(`${root}${page}`, "utf8");

/** Commands that train take minutes, and those that read a study need one that was trained. */
const slow = /^(sweep|train|replay)\b/;

interface Capture {
  readonly command: string;
  readonly output: string;
}

function captures(page: string): Capture[] {
  const blocks = [...textOf(page).matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
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

/** What a line of a heading is called in a link. */
function anchors(page: string): string[] {
  const headings = [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase());
  return headings.map((title) => title.replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-"));
}

describe("README and docs", () => {
  it("shows the commands that matter first", () => {
    const names = captures("README.md").map(({ command }) => command.split(" ")[1]);
    for (const name of ["sweep", "plan", "pattern", "check"]) assert.ok(names.includes(name), name);
  });

  for (const page of pages) {
    for (const { command, output } of captures(page)) {
      if (slow.test(command.replace(/^layermix /, ""))) continue;
      it(`${page}: $ ${command}`, async () => {
        const [program, ...args] = command.split(" ");
        assert.equal(program, "layermix");
        const { stdout, stderr } = await layermix(args, {
          cwd: `${root}docs/examples`,
          env: { COLUMNS: "100" },
        });
        const hints = /^(Next: .*|warning.*)$/gm;
        const printed = `${stdout}${stderr.replace(hints, "")}`.trimEnd();
        const [shown = "", left] = output.split("\n...");
        assert.equal(left === undefined ? printed : printed.slice(0, shown.length), shown);
      });
    }
  }

  it("begins the sweep of the README as --dry-run does", async () => {
    const [sweep] = captures("README.md").filter(({ command }) => command.startsWith("layermix sweep"));
    const { stdout } = await layermix([...sweep!.command.split(" ").slice(1), "--dry-run"]);
    const head = stdout.split("\n").filter((line) => /^(quickstart| )/.test(line) && !/steps/.test(line));
    assert.equal(head.length, 4);
    assert.deepEqual(sweep!.output.split("\n").slice(0, head.length), head);
  });

  it("names the number of presets", async () => {
    const { stdout } = await layermix(["preset", "list", "--json"]);
    const models = JSON.parse(stdout).data.presets.filter(({ kind }: { kind: string }) => kind === "model");
    assert.match(textOf("README.md"), new RegExp(`\\b${models.length} models to compare with`));
    assert.match(textOf("CHANGELOG.md"), new RegExp(`\\b${models.length} model presets`));
  });

  for (const page of [...pages, "CONTRIBUTING.md"])
    it(`${page} links to files and headings that exist`, () => {
      for (const [, target = ""] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [file, anchor] = target.split("#");
        const linked = file === "" ? page : posix.join(posix.dirname(page), file!);
        readFileSync(`${root}${linked}`);
        if (anchor !== undefined) assert.ok(anchors(linked).includes(anchor), target);
      }
    });
});
