// Runs the real executable, as a user would: bin/run.js in a process of its own. Needs `npm run build:ts` before.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const executable = fileURLToPath(new URL("../../bin/run.js", import.meta.url));
const built = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Closes the reading end of stdout at once, as `| true` does. */
  readonly closeStdout?: boolean;
}

/** Runs `layermix ARGS...` to its end. */
export async function layermix(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  if (!existsSync(built)) throw new Error("dist/ is missing: npm run build:ts");
  const { NO_COLOR: _, FORCE_COLOR: __, DEBUG: ___, ...inherited } = process.env;
  const child = spawn(process.execPath, [executable, ...args], {
    cwd: options.cwd,
    env: { ...inherited, ...options.env },
  });
  const collect = async (stream: AsyncIterable<Buffer>) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString("utf8");
  };
  child.stdin.on("error", () => {}); // a command that reads no stdin closes it
  child.stdin.end(options.input ?? "");
  const stdout = options.closeStdout === true ? Promise.resolve("") : collect(child.stdout);
  if (options.closeStdout === true) child.stdout.destroy();
  const stderr = collect(child.stderr);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, stdout: await stdout, stderr: await stderr };
}
