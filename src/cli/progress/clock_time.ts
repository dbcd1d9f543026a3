// Durations that are read while they change: "0:41", "12:05", "3:07:30" - fixed width, no units to parse.

/** Seconds as m:ss, or h:mm:ss from an hour on; "-" when not known. */
export function clockTime(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return "-";
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `:${String(rest).padStart(2, "0")}`;
  return hours === 0 ? `${minutes}${tail}` : `${hours}:${String(minutes).padStart(2, "0")}${tail}`;
}
