// The options of the kit's functions, and errors for invalid ones.

import { show } from './show.js';

/** The options of all waits. */
export const WAIT_OPTIONS = {
  timeout: ['a number of milliseconds from 0, or Infinity', (value) => typeof value === 'number' && value >= 0],
};

export const BOOLEAN = ['true or false', (value) => typeof value === 'boolean'];

export const TEXT = ['text', (value) => typeof value === 'string'];

/**
 * Throws an error about the first unknown or invalid option. `undefined` counts as absent.
 *
 * @param who - for errors
 * @param known - for each option, the values it accepts, in words, and a function that checks a value
 */
export function checkOptions(who, options, known) {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`${who}: the options are ${show(options)}; they are an object`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name))
      throw new TypeError(`${who}: the options have no ${name}; it takes ${Object.keys(known).join(', ')}`);
    if (value !== undefined) checkOption(who, name, value, known[name]);
  }
}

export function checkOption(who, name, value, [accepted, accepts]) {
  if (!accepts(value)) throw new TypeError(`${who}: ${name} is ${show(value)}; it takes ${accepted}`);
}
