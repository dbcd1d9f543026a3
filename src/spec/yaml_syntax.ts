// Syntax errors in the words of the user. The parser's own messages are about its insides ("implicit keys need to be on a
// single line"); the mistakes that people make are recognised and said as such.

import type { YAMLError } from "yaml";
import type { Diagnostic, DiagnosticCode } from "../diag/diagnostic.js";
import type { SourceText } from "./source_text.js";

const sameColumn = "keys of one mapping start at the same column";

const syntaxHelp: Readonly<Partial<Record<YAMLError["code"], string>>> = {
  BAD_INDENT: sameColumn,
  MISSING_CHAR: "check that every bracket and quote is closed",
  MULTILINE_IMPLICIT_KEY: "a key and its colon stand on one line",
};

/** The problem behind an error or a warning of the parser. */
export function syntaxProblem(source: SourceText, error: YAMLError): Diagnostic {
  const [start, end] = error.pos;
  const severity = "error";
  const at = (code: DiagnosticCode, message: string, help: string[], length = end - start): Diagnostic => {
    const position = source.positionOf({ start, end: start + length });
    return { code, severity, message, help, position };
  };
  const rest = source.text.slice(start);
  if (error.code === "TAB_AS_INDENT" || (rest.startsWith("\t") && /indent/i.test(error.message))) {
    return at("LMX1013", "Expected spaces as indentation, got a tab", ["replace the tab by spaces"]);
  }
  if (error.code === "TAG_RESOLVE_FAILED") {
    return at("LMX1015", "Tags (!name) are not supported", ["remove the tag"]);
  }
  const glued = /^([\w.-]+):(?=[^\s:])/.exec(rest);
  if (error.code === "MULTILINE_IMPLICIT_KEY" && glued !== null) {
    const help = [`write ${glued[1]}: and then the value`];
    return at("LMX1005", `Expected a space after the colon of ${glued[1]}`, help, glued[0].length);
  }
  if (error.code === "BLOCK_AS_IMPLICIT_KEY") return nestedMapping(at, rest);
  const open = /^Flow (?:map|sequence) in block collection .* end with a (.)$/.exec(error.message);
  if (open !== null) {
    const help = [`add ${open[1]}, or indent what belongs inside`];
    return at("LMX1005", `Expected ${open[1]} before this line: a bracket above is still open`, help);
  }
  const reason = error.message.replace(/ at line \d+, column \d+[\s\S]*$/, "").replace(/\.$/, "");
  const help = syntaxHelp[error.code];
  return at("LMX1005", `Invalid YAML: ${reason}`, help === undefined ? [] : [help]);
}

/** A mapping where a value stands: either a colon within the line, or a line below that is indented too far. */
function nestedMapping(
  at: (code: DiagnosticCode, message: string, help: string[], length?: number) => Diagnostic,
  rest: string,
): Diagnostic {
  const line = /^[^\n]*/.exec(rest)![0];
  const inside = /^([\w.-]+): +(\S+)/.exec(line);
  if (inside !== null) {
    const message = `Expected one value on this line, got a second colon after ${inside[1]}`;
    return at(
      "LMX1005",
      message,
      [
        `a mapping on one line has braces: { ${inside[1]}: ${inside[2]} }`,
        "a text that contains a colon needs quotes",
      ],
      inside[0].length,
    );
  }
  return at(
    "LMX1005",
    "Expected the line after this one to start at this line's key, got deeper indentation",
    [sameColumn],
    line.trimEnd().length,
  );
}
