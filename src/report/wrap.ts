// Text for a width: long lines broken at spaces. What is laid out on purpose - indented lines - stays as it is.

/** Greedy line breaking at spaces; `rest` indents every line after the first, `first` the first. */
export function wrap(text: string, width: number, rest = "", first = ""): readonly string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    const indent = lines.length === 0 ? first : rest;
    if (line !== indent && line.length + 1 + word.length > width) {
      lines.push(line);
      line = rest + word;
    } else {
      line = line === indent ? line + word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Paragraphs, however their lines were broken, broken anew; empty and indented lines are kept. */
export function reflow(text: string, width: number): string {
  const laidOut = (line: string): boolean => line === "" || line.startsWith(" ");
  const lines: string[] = [];
  let open = false;
  for (const line of text.split("\n")) {
    if (open && !laidOut(line)) lines.push(`${lines.pop()} ${line}`);
    else lines.push(line);
    open = !laidOut(line);
  }
  return lines.flatMap((line) => (laidOut(line) ? [line] : wrap(line, width))).join("\n");
}
