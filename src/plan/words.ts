// Numbers in the words of plan notes and reasons.

/** A share as people write it: 0.07 -> "7%", 4/56 -> "7.14%". */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** A large count in powers of 1000, four digits: 8654517248 -> "8.655 B". */
export function compactCount(count: number): string {
  return compact(count, ["", "K", "M", "B", "T", "P", "E"], " ");
}

/** Memory in powers of 1000, as limits in study files are written: 179200174336 -> "179.2GB", 512 -> "512B". */
export function compactBytes(bytes: number): string {
  return compact(bytes, ["B", "KB", "MB", "GB", "TB", "PB", "EB"], "");
}

function compact(count: number, units: readonly string[], space: string): string {
  let value = count;
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toPrecision(4)}${units[unit] === "" ? "" : space}${units[unit]}`;
}
