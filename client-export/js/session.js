// Sessions of exported classes: what is easier said in JavaScript than in Rust.

import { dictionary, isFunction, toNumber, wrongKind } from './check.js';

const WHOLE = { kind: 'whole', unit: '', min: 1, max: 2 ** 31 - 1, unlimited: false, default: undefined };
const LIMITS = [
  { ...WHOLE, name: 'session.messages' },
  { ...WHOLE, name: 'session.bytes', unit: ' bytes' },
  { ...WHOLE, name: 'session.requests', min: 0 },
];
const TIMEOUT = { ...WHOLE, name: 'timeout', unit: ' ms' };

/**
 * Separates the option `session` from those of the table.
 *
 * @returns `[other options, optional, credential, messages, bytes, requests]`
 * @throws {TypeError} for a value of the wrong kind
 * @throws {RangeError} for a limit out of range
 */
export function takeSession(who, options) {
  if (typeof options !== 'object' || options === null) return [options, false];
  const { session = true, ...others } = options;
  const isShort = typeof session !== 'object' || session === null;
  if (isShort && session !== true && session !== 'optional') {
    throw wrongKind(who, 'option session', session, "true, 'optional' or an object");
  }
  const given = dictionary(who, isShort ? undefined : session, 'option session', [
    'optional',
    'credential',
    'messages',
    'bytes',
    'requests',
  ]);
  const { optional = session === 'optional', credential, messages, bytes, requests } = given;
  if (typeof optional !== 'boolean') throw wrongKind(who, 'option session.optional', optional, 'true or false');
  if (credential !== undefined && typeof credential !== 'string' && !isFunction(credential)) {
    throw wrongKind(who, 'option session.credential', credential, 'a string, or a function that returns one');
  }
  for (const [name, value, why] of [
    ['gate', true, "the session's own first message opens the gate; give the session a credential instead"],
    ['reconnect', false, 'it outlives its connections'],
  ]) {
    if (others[name] === value) {
      throw new TypeError(`${who}: a session and the option ${name}: ${value} exclude each other: ${why}`);
    }
  }
  const limits = [messages, bytes, requests].map((value, row) => toNumber(who, LIMITS[row], value));
  return [others, optional, credential, ...limits];
}

/** The credential for an attempt. */
export async function provide(who, credential, attempt) {
  const found = await credential({ attempt });
  if (typeof found !== 'string') {
    throw wrongKind(who, 'the credential', found, 'a string, or a function that returns one');
  }
  return found;
}

/**
 * The options of a wait: `[signal, timeout]`.
 *
 * @throws the reason of a signal that has aborted
 */
export function waitOptions(who, options, withTimeout) {
  const { signal, timeout } = dictionary(who, options, 'the options', withTimeout ? ['signal', 'timeout'] : ['signal']);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrongKind(who, 'option signal', signal, 'an AbortSignal');
  }
  signal?.throwIfAborted();
  return [signal, toNumber(who, TIMEOUT, timeout)];
}

/** Resolves when a signal aborts; `off` ends that. */
export class Abort {
  constructor(signal) {
    this.aborted = new Promise((resolve) => {
      this.off = () => signal.removeEventListener('abort', resolve);
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', resolve, { once: true });
    });
  }
}

/** A promise that nobody need handle. */
export function hushed(promise) {
  promise.catch(() => {});
  return promise;
}

// --- Errors -------------------------------------------------------------------------------------------------

/** An error with a name, and something behind a getter, so that no log quotes it by accident. */
function failure(name, message, fields, hidden, value) {
  const error = new Error(message);
  for (const [field, is] of Object.entries({ name, ...fields })) {
    Object.defineProperty(error, field, { value: is, configurable: true, writable: true });
  }
  Object.defineProperty(error, hidden, { get: () => value, configurable: true });
  return error;
}

export function notHandled(who, why, sent) {
  return failure('NotHandledError', `${who}: the message was not handled: ${why}`, {}, 'sent', sent);
}

export function unknownEnd(who, why, sent) {
  return failure('UnknownEndError', `${who}: nobody knows what became of the message: ${why}`, {}, 'sent', sent);
}

export function requestError(who, code, what, value) {
  return failure('RequestError', `${who}: ${what}`, { code }, 'error', value);
}

// --- Requests of the server ----------------------------------------------------------------------------------

/** What a handler throws by `fail`. */
class Failed {
  constructor(value) {
    this.value = value;
  }
}

/**
 * Calls a handler of requests.
 *
 * @returns a promise of `[whether it succeeded, value]`, or of `null` if it failed otherwise, which is reported
 */
export async function answer(handler, request, controller) {
  const { signal } = controller;
  const fail = (value) => {
    throw new Failed(value);
  };
  try {
    return [true, await handler(request, { signal, fail })];
  } catch (error) {
    if (error instanceof Failed) return [false, error.value];
    // A handler that follows its signal throws this.
    if (!signal.aborted || error !== signal.reason) report(error);
    return null;
  }
}

export function report(error) {
  if (isFunction(globalThis.reportError)) globalThis.reportError(error);
  else {
    setTimeout(() => {
      throw error;
    });
  }
}
