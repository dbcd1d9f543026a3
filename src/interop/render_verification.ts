// A verification as text: one line per quantity, each with its tolerance, and the worst gradients by name.

import { type Tolerances, tolerances, type Verification } from "./verify.js";

const gradientsShown = 3;

/** Several lines, no trailing newline. */
export function renderVerification(result: Verification, limits: Tolerances = tolerances): string {
  const lines = [
    line("logits", "largest difference", result.logitsMaxAbs, limits.logits),
    result.lossAbs === null
      ? "loss       not recorded"
      : line("loss", "difference", result.lossAbs, limits.loss),
  ];
  if (result.hiddenMaxAbs.length > 0) {
    lines.push(line("hidden", "largest difference", Math.max(...result.hiddenMaxAbs)));
  }
  const worst = Object.entries(result.gradients).sort(([, a], [, b]) => b - a);
  lines.push(
    worst.length === 0 ? "gradients  not recorded" : gradientLine(worst.length, result.worstGradient, limits),
  );
  for (const [name, error] of worst.slice(0, gradientsShown))
    lines.push(`             ${format(error)}  ${name}`);
  lines.push(result.ok ? "equal within tolerance" : "NOT equal within tolerance");
  return lines.join("\n");
}

function gradientLine(count: number, worst: number, limits: Tolerances): string {
  return line("gradients", `worst of ${count}, relative`, worst, limits.gradient);
}

function line(what: string, measure: string, value: number, tolerance?: number): string {
  const limit = tolerance === undefined ? "" : `  (at most ${tolerance.toExponential()})`;
  return `${what.padEnd(10)} ${measure.padEnd(28)} ${format(value)}${limit}`;
}

function format(value: number): string {
  return value.toExponential(2);
}
