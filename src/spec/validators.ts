// The compiled JSON Schema validators (scripts/compile_schemas.js), typed. They are generated JavaScript outside src/,
// loaded by a relative path that is the same from src/spec and dist/spec.

import type { ErrorObject } from "ajv";

/** `x-expected` is what messages call the values of a schema. */
export interface AnnotatedSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, AnnotatedSchema>>;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly enum?: readonly unknown[];
  readonly "x-expected"?: string;
}

export type SchemaError = ErrorObject & { readonly parentSchema?: AnnotatedSchema };

interface Validator {
  (value: unknown): boolean;
  errors?: SchemaError[] | null;
}

interface CompiledSchemas {
  readonly validateStudy: Validator;
  readonly validateModel: Validator;
  readonly validateHardware: Validator;
}

const compiled: CompiledSchemas = await import(
  new URL("../../schemas/compiled/study.mjs", import.meta.url).href
);

function errorsOf(validate: Validator, value: unknown): readonly SchemaError[] {
  return validate(value) ? [] : [...(validate.errors ?? [])];
}

/** What the schema has against a whole study file. */
export function studySchemaErrors(value: unknown): readonly SchemaError[] {
  return errorsOf(compiled.validateStudy, value);
}

/** What the schema has against the `model` section alone; paths start at the model. */
export function modelSchemaErrors(value: unknown): readonly SchemaError[] {
  return errorsOf(compiled.validateModel, value);
}

/** What the schema has against a hardware file. */
export function hardwareSchemaErrors(value: unknown): readonly SchemaError[] {
  return errorsOf(compiled.validateHardware, value);
}
