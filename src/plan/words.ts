// Numbers in the words of plan notes and reasons.

/** A share as people write it: 0.07 -> "7%", 4/56 -> "7.14%". */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** A large count in powers of 1000, four digits: 8654517248 -> "8.655 B". */
export function compactCount(count: number): string {
  return compact(count, ["", "K", "M", "B", "T", "P", "E"]);
}

/** Memory as tables show it and, in brackets, in powers of 1000: 179200174336 -> "166.9 GiB (179.2 GB)", 512 -> "512 B". */
export function compactBytes(bytes: number): string {
  const binary = compact(bytes, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 1024);
  const decimal = compact(bytes, ["B", "KB", "MB", "GB", "TB", "PB", "EB"]);
  return binary === decimal ? binary : `${binary} (${decimal})`;
}

function compact(count: number, units: readonly string[], base = 1000): string {
  let value = count;
  let unit = 0;
  while (Math.abs(value) >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toPrecision(4)}${units[unit] === "" ? "" : ` ${units[unit]}`}`;
}
