// The standard normal distribution: probabilities and quantiles, for bootstrap intervals.
// Phi(x) = 1/2 + phi(x) * (x + x^3/3 + x^5/(3*5) + ...) near the middle; in the tails the continued fraction of Mills'
// ratio, which keeps its digits where 1 - Phi would lose them (Marsaglia, "Evaluating the normal distribution",
// J. Stat. Software 11(4), 2004; Abramowitz and Stegun 26.2.14).

const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/** P(Z <= x). */
export function normalProbability(x: number): number {
  if (x < -5) return density(x) * millsRatio(-x);
  if (x > 5) return 1 - density(x) * millsRatio(x);
  let term = x;
  let sum = x;
  for (let i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + density(x) * sum;
}

/** (1 - Phi(x)) / phi(x) for x >= 5: 1/(x + 1/(x + 2/(x + 3/...))), 60 levels. */
function millsRatio(x: number): number {
  let fraction = x;
  for (let level = 60; level >= 1; level--) fraction = x + level / fraction;
  return 1 / fraction;
}

/** The x with P(Z <= x) = probability; -Infinity at 0, Infinity at 1. */
export function normalQuantile(probability: number): number {
  if (probability <= 0) return -Infinity;
  if (probability >= 1) return Infinity;
  let low = -40;
  let high = 40;
  // Bisection until the two are neighbouring doubles: the probability never falls with x.
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (normalProbability(middle) < probability) low = middle;
    else high = middle;
  }
}
