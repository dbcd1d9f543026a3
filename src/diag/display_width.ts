// Columns that text takes on a terminal, for carets under the right letters, and the removal of everything that could
// steer the terminal. Widths follow Unicode East Asian Width (W, F) and emoji: 2; combining marks and joiners: 0.

/** First and last code point of the blocks that take two columns. */
const wideRanges: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f], // Hangul Jamo
  [0x2e80, 0x303e], // CJK radicals, symbols
  [0x3041, 0xa4cf], // Kana, CJK ideographs, Yi
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3], // Hangul syllables
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60], // full-width forms
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f], // pictographs, emoticons
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

const zeroWidth = /^(?:\p{Mn}|\p{Me}|\u200d|[\ufe00-\ufe0f])$/u;

/** Terminal columns of `text`; control characters must have been removed (see printable). */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    if (point < 0x300) width += 1;
    else if (zeroWidth.test(character)) width += 0;
    else width += wideRanges.some(([first, last]) => point >= first && point <= last) ? 2 : 1;
  }
  return width;
}

// C0, DEL, C1 (ESC and CSI among them), line separators, bidirectional overrides and isolates, lone surrogates.
const unsafe =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;

/** `text` with every character that could steer a terminal replaced by U+FFFD; tabs and newlines are kept. */
export function printable(text: string): string {
  return text.replace(unsafe, "\ufffd");
}
