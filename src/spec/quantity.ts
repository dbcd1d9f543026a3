// Numbers with units, as study files write them. Values have passed the schema, so the only thing that can still be
// wrong is a fraction where whole numbers are needed ("1.0001K"). Decimal units shift the decimal point in the text, so
// 43% is the double nearest to 0.43 and 1.5M is exactly 1,500,000.

const decimalExponent: Readonly<Record<string, number>> = { "": 0, K: 3, M: 6, G: 9, B: 9, T: 12 };
const binaryFactor: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** "43%" or 0.43 -> 0.43. */
export function parseShare(value: unknown): number {
  if (typeof value === "number") return value;
  const text = String(value).replace("%", "").trim();
  return Number(`${text}e-2`);
}

/** "20M" or 20000000 -> 20000000; K, M, B, T are powers of 1000. */
export function parseCount(value: unknown): number {
  if (typeof value === "number") return value;
  const [, digits = "", unit = ""] = /^([\d.]+) ?([KMBT]?)$/.exec(String(value)) ?? [];
  return Number(`${digits}e${decimalExponent[unit]}`);
}

/** "4K" or 4096 -> 4096; K and M are powers of 1024. */
export function parseLength(value: unknown): number {
  if (typeof value === "number") return value;
  const [, digits = "", unit = ""] = /^([\d.]+) ?([KM]?)$/.exec(String(value)) ?? [];
  return Number(digits) * binaryFactor[unit]!;
}

/** A count (7B) or an amount of memory (80GB: powers of 1000, 80GiB: powers of 1024). "80B" is a count. */
export function parseAmount(value: unknown): number {
  if (typeof value === "number") return value;
  const memory = /^([\d.]+) ?([KMGT])(i?)B$/.exec(String(value));
  if (memory === null) return parseCount(value);
  const [, digits, unit, binary] = memory;
  return binary === "i"
    ? Number(digits) * binaryFactor[unit!]!
    : Number(`${digits}e${decimalExponent[unit!]}`);
}

/** 0.125 -> "12.5%", without the noise of binary fractions. */
export function showShare(share: number): string {
  return `${Number((share * 100).toFixed(6))}%`;
}
