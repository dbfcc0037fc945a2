// Checks options against the table, with one wording for all classes: `ReconnectingWebSocket`, and those that
// `export_socket!` makes, whose crate has a link to this file. Exceptions from the caller's getters propagate unchanged.
//
// `who` is the name of the class that the program called; every error begins with it.

import { OPTIONS, ORDERED, THEIR_NAMES } from './options.js';

/** The options of the table. */
export const TABLE_NAMES = OPTIONS.map(({ name }) => name);

/**
 * Validates the options of a class that has only those of the table; returns the value of each row, or `undefined` if
 * the option is absent: an endpoint has defaults of its own.
 *
 * @throws {TypeError} for an unknown option, or a value of the wrong type
 * @throws {RangeError} for a value out of range
 */
export function toNumbers(who, given) {
  const options = dictionary(who, given, 'the options', TABLE_NAMES);
  return tableNumbers(who, options).map((value, row) => (isGiven(options, row) ? value : undefined));
}

/** The value of each row of the table. */
export function tableNumbers(who, options) {
  const values = OPTIONS.map((row) => toNumber(who, row, options[row.name]));
  for (const [less, more] of ORDERED) {
    if (values[less] > values[more]) {
      if (!isGiven(options, less)) {
        values[less] = values[more];
        continue;
      }
      if (!isGiven(options, more)) {
        values[more] = values[less];
        continue;
      }
      const shown = (index) => `${values[index]}${OPTIONS[index].unit}`;
      throw new RangeError(
        `${who}: option ${OPTIONS[more].name} is ${shown(more)}, below ${OPTIONS[less].name}, which is ${shown(less)}; it takes at least that`,
      );
    }
  }
  return values;
}

function isGiven(options, row) {
  return options[OPTIONS[row].name] !== undefined;
}

/** Converts an option's value to the number that represents it in the table: the default if absent. */
export function toNumber(who, row, value) {
  const { name, kind, unit, min, max, unlimited, choices } = row;
  if (value === undefined) return row.default;
  if (kind === 'flag') {
    if (typeof value !== 'boolean') throw wrongKind(who, `option ${name}`, value, 'true or false');
    return Number(value);
  }
  if (kind === 'choice') {
    const index = choices.indexOf(value);
    if (index < 0) {
      const is = typeof value === 'string' ? 'another string' : kindOf(value);
      throw new TypeError(
        `${who}: option ${name} is ${is}; it takes ${choices.map((choice) => `'${choice}'`).join(', ')}`,
      );
    }
    return index;
  }
  const accepted = `${kind === 'number' ? 'a number' : 'a whole number'} from ${min} to ${max}${unit}${unlimited ? ', or Infinity' : ''}`;
  if (typeof value !== 'number') throw wrongKind(who, `option ${name}`, value, accepted);
  const inRange = value >= min && value <= max && (kind === 'number' || Number.isInteger(value));
  if (!inRange && !(unlimited && value === Infinity)) {
    throw new RangeError(`${who}: option ${name} is ${value}${unit}; it takes ${accepted}`);
  }
  return value;
}

/** Validates an options object: it may contain only known names. */
export function dictionary(who, given, what, names) {
  if (given === undefined || given === null) return {};
  if (!isObject(given) || isFunction(given) || (!isRevoked(given) && Array.isArray(given)))
    throw wrongKind(who, what, given, 'an object');
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const near = whatIsMeant(names, name);
    const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `it takes ${names.join(', ')}`;
    throw new TypeError(`${who}: ${what} ${what.startsWith('option ') ? 'has' : 'have'} no ${name}; ${hint}`);
  }
  return given;
}

/** Suggests names for an unknown one: the equivalents of other clients' options, or else the closest name. */
function whatIsMeant(names, other) {
  const known = names.filter((name) => THEIR_NAMES[name]?.split(' ').includes(other));
  if (known.length > 0) return known;
  const nearness = names.map(
    (name) => shared(name.toLowerCase(), other.toLowerCase()) / Math.min(name.length, other.length),
  );
  const best = Math.max(0.8, ...nearness);
  return names.filter((_, index) => nearness[index] >= best);
}

/** The length of the longest common subsequence of two words. */
function shared(one, other) {
  let row = Array(other.length + 1).fill(0);
  for (const letter of one) {
    const next = [0];
    for (let at = 0; at < other.length; at += 1)
      next.push(letter === other[at] ? row[at] + 1 : Math.max(next[at], row[at + 1]));
    row = next;
  }
  return row[other.length];
}

// --- Kinds of values ----------------------------------------------------------------------------------------

export function isFunction(value) {
  return typeof value === 'function';
}

export function isObject(value) {
  return (typeof value === 'object' && value !== null) || isFunction(value);
}

/** Whether it is a string, or a URL object of any realm. */
export function isUrl(value) {
  return typeof value === 'string' || isA('URL', value);
}

/** Whether it is an instance of this class of the platform or the language, of any realm. */
export function isA(name, value) {
  try {
    return Object.prototype.toString.call(value) === `[object ${name}]`;
  } catch {
    // A revoked proxy.
    return false;
  }
}

/** Whether it is a revoked proxy, which cannot even be passed to `Array.isArray`. */
export function isRevoked(value) {
  try {
    Array.isArray(value);
    return false;
  } catch {
    return true;
  }
}

export const PROMISE = 'a promise';

/** Describes the kind of a value for error messages, never the value itself. */
export function kindOf(value) {
  if (value === null || value === undefined) return String(value);
  if (isRevoked(value)) return 'a revoked proxy';
  if (Array.isArray(value)) return 'an array';
  if (isA('Promise', value)) return PROMISE;
  return `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`;
}

export function wrongKind(who, what, value, accepted) {
  return new TypeError(`${who}: ${what}: ${kindOf(value)} was given; this takes ${accepted}`);
}
