// A verification as text: one line per quantity, each with its limit, and the gradients nearest theirs by name.

import type { Verification } from "./verify.js";

const gradientsShown = 3;

/** Several lines, no trailing newline. */
export function renderVerification(result: Verification): string {
  const { limits } = result;
  const lines = [
    line("logits", "largest difference", result.logitsMaxAbs, limits.logits),
    result.lossAbs === null
      ? "loss       not recorded"
      : line("loss", "difference", result.lossAbs, limits.loss),
  ];
  if (result.hiddenMaxAbs.length > 0) {
    lines.push(line("hidden", "largest difference", Math.max(...result.hiddenMaxAbs)));
  }
  const share = ([name, error]: readonly [string, number]): number => error / limits.gradients[name]!;
  const worst = Object.entries(result.gradients).sort((a, b) => share(b) - share(a));
  lines.push(
    worst.length === 0
      ? "gradients  not recorded"
      : line("gradients", `nearest their limits of ${worst.length}, relative`),
  );
  for (const [name, error] of worst.slice(0, gradientsShown)) {
    lines.push(`             ${format(error)}  (at most ${format(limits.gradients[name]!)})  ${name}`);
  }
  lines.push(result.ok ? "equal within tolerance" : "NOT equal within tolerance");
  return lines.join("\n");
}

function line(what: string, measure: string, value?: number, tolerance?: number): string {
  const limit = tolerance === undefined ? "" : `  (at most ${format(tolerance)})`;
  const number = value === undefined ? "" : ` ${format(value)}`;
  return `${what.padEnd(10)} ${measure.padEnd(28)}${number}${limit}`;
}

function format(value: number): string {
  return value.toExponential(2);
}
