/** A schema of any library that follows [Standard Schema](https://standardschema.dev): zod, valibot, arktype, … */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** Absent at run time: it gives the compiler the types of the schema's input and output. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What a schema returns: a value, or issues. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  /** Where in the message: keys, or objects with a `key`. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
