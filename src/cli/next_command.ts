// The command that a finished one suggests, ready to be pasted into a shell.

/** A word of a command line, quoted for a POSIX shell where it has to be. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line of its words, ready to be pasted. */
export function commandLine(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

/** What to do after an interrupt; a study from stdin has to be given again. */
export function goOnWith(command: string, argv: readonly string[]): string {
  const input = argv.includes("-") ? " with the same input" : "";
  return `Run the same command again${input} to go on: ${commandLine(["layermix", command, ...argv])}`;
}

/** `{ next: "layermix plan study.yaml" }` for a command about a file or folder; nothing for stdin, which cannot be read twice. */
export function nextCommand(command: string, file: string | undefined): { readonly next?: string } {
  if (file === undefined || file === "-" || file === "<stdin>") return {};
  return { next: commandLine(["layermix", command, file]) };
}
