// What the kit's functions take, and the errors of what they do not.

import { show } from './show.js';

/** The options of whatever waits. */
export const WAIT_OPTIONS = {
  timeout: ['a number of milliseconds from 0, or Infinity', (value) => typeof value === 'number' && value >= 0],
};

export const BOOLEAN = ['true or false', (value) => typeof value === 'boolean'];

export const TEXT = ['text', (value) => typeof value === 'string'];

/**
 * Throws an error about the first option that there is not or that is wrong. One that is `undefined` is not given.
 *
 * @param who - for the errors
 * @param known - of each option what is taken, in words, and a function that says whether it is that
 */
export function checkOptions(who, options, known) {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${who}: the options are ${show(options)}; they are an object`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) throw new TypeError(`${who}: the options have no ${name}; it takes ${Object.keys(known).join(', ')}`);
    if (value !== undefined) checkOption(who, name, value, known[name]);
  }
}

export function checkOption(who, name, value, [accepted, accepts]) {
  if (!accepts(value)) throw new TypeError(`${who}: ${name} is ${show(value)}; it takes ${accepted}`);
}
