// Numbers for people: counts in powers of 1000 ("8.65 B"), FLOPs with their prefix ("190.7 TFLOP"), memory in
// powers of 1024 ("16.0 KiB"), shares ("7.14%"), durations ("3 min 20 s"). JSON never goes through here; it
// has plain numbers.

function scaled(value: number, base: number, units: readonly string[]): { value: number; unit: string } {
  let index = 0;
  let rest = value;
  // Half a unit of the last digit shown already belongs to the next unit: 999.95 would print as "1000.0".
  while (Math.abs(rest) >= base * 0.9995 && index < units.length - 1) {
    rest /= base;
    index += 1;
  }
  return { value: rest, unit: units[index]! };
}

/** 8654517248 -> "8.65 B", 512 -> "512". */
export function formatCount(count: number): string {
  const { value, unit } = scaled(count, 1000, ["", "K", "M", "B", "T", "Q"]);
  if (unit === "") return Number.isInteger(value) ? String(value) : value.toPrecision(3);
  return `${digits(value)} ${unit}`;
}

/** 190696547942400 -> "190.7 TFLOP". */
export function formatFlops(flops: number): string {
  const { value, unit } = scaled(flops, 1000, ["", "K", "M", "G", "T", "P", "E", "Z", "Y"]);
  return `${value.toFixed(unit === "" ? 0 : 1)} ${unit}FLOP`;
}

/** 16384 -> "16.0 KiB", 100 -> "100 B". */
export function formatBytes(bytes: number): string {
  const { value, unit } = scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
  return `${value.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
}

/** 0.0714285 -> "7.14%", 0.5 -> "50%". */
export function formatShare(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

/** 1234567 -> "1,234,567". */
export function formatInteger(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A number per second: 1224.3 -> "1,224", 47.83 -> "47.8". */
export function formatRate(value: number): string {
  return value < 99.95 ? digits(value) : formatInteger(value);
}

/** 200 -> "3 min 20 s", 0.0123 -> "12.3 ms", 0.0000047 -> "4.70 us", 7300 -> "2 h 2 min". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "-";
  if (seconds > 0 && seconds < 0.0000995) return `${digits(seconds * 1e6)} us`;
  if (seconds < 0.9995) return `${digits(seconds * 1000)} ms`;
  if (seconds < 59.5) return `${seconds < 9.95 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Three significant digits, never in exponent form: 8.654 -> "8.65", 86.54 -> "86.5", 865.4 -> "865". */
function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/** A number of tokens as study files write it: 4096 -> "4K", 131072 -> "128K", 1000 -> "1,000". */
export function formatLength(tokens: number): string {
  if (tokens >= 1024 ** 2 && tokens % 1024 ** 2 === 0) return `${tokens / 1024 ** 2}M`;
  if (tokens >= 1024 && tokens % 1024 === 0) return `${tokens / 1024}K`;
  return formatInteger(tokens);
}

/** A ratio: 3.841 -> "3.84x", 31.9 -> "31.9x". */
export function formatRatio(ratio: number): string {
  return `${digits(ratio)}x`;
}

/** "1 trial", "8 trials". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** "3 of 8 trials have ended". */
export function endedOf(ended: number, total: number): string {
  return `${ended} of ${counted(total, "trial")} ${total === 1 ? "has" : "have"} ended`;
}
