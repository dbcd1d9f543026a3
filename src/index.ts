// The public library API: what `import ... from "layermix"` gives.
export { type Diagnostic, exitCodes, LayermixError } from "./diag/diagnostic.js";
