// Schemas of any library that implements Standard Schema (https://standardschema.dev), version 1.

import { CLASS, MessageError } from './errors.js';
import { isThenable } from './steps.js';
import { wrongKind } from '../wasm/steady_socket_wasm.js';

/**
 * The function that validates against a schema.
 *
 * @param name - the option's name, for the error
 * @throws {TypeError} if it is not a Standard Schema
 */
export function toValidator(name, schema) {
  const isObject = (typeof schema === 'object' && schema !== null) || typeof schema === 'function';
  const standard = isObject ? schema['~standard'] : undefined;
  if (standard?.version !== 1 || typeof standard.validate !== 'function') {
    throw wrongKind(CLASS, `option ${name}`, schema, 'a schema that follows Standard Schema, version 1');
  }
  return (value) => standard.validate(value);
}

/**
 * Validates a value.
 *
 * @param what - what the value is, for the error
 * @returns the schema's output, or a promise of it; {@link MessageError} if the schema rejects it
 */
export function validate(validator, value, what) {
  const result = validator(value);
  return isThenable(result) ? Promise.resolve(result).then((later) => output(later, what)) : output(result, what);
}

function output(result, what) {
  const { issues } = result;
  if (issues === undefined || issues === null) return result.value;
  const count = `${issues.length} issue${issues.length === 1 ? '' : 's'}`;
  throw new MessageError(
    'invalid-message',
    `the schema refuses ${what}, with ${count}${isDevelopment() ? firstOf(issues) : ''}`,
    { issues },
  );
}

/**
 * Whether this is a development build, in which an error may name a field of a message: bundlers replace the
 * expression.
 */
function isDevelopment() {
  try {
    return process.env.NODE_ENV === 'development';
  } catch {
    return false;
  }
}

/** The path of the first issue that has one, as in `, the first at items.0.name`. */
function firstOf(issues) {
  const { path } = issues.find((issue) => issue.path?.length > 0) ?? {};
  if (!path) return '';
  const field = Array.from(path, (part) => String(part?.key ?? part)).join('.');
  return `, the first at ${field.replace(/[^\x20-\x7e]/g, '?').slice(0, 80)}`;
}
