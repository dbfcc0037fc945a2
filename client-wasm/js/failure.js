// The running instance of the WebAssembly module, and its failure. After a panic or a trap, nothing may call into an
// instance again, since its state is inconsistent. For every socket on it, the failure is one more loss: a fresh
// instance replaces it, unless instances fail repeatedly.

import { report } from './events.js';

/** At most this many failures within this many milliseconds are repaired by a fresh instance. */
const MOST_FAILURES = 5;
const WITHIN = 600_000;

const FAILED = 'the WebAssembly module of steady-socket has failed';
/** The messages for a failure that is repaired, and for one that is not. */
const WHYS = [`${FAILED}, and is started anew`, `${FAILED}, and nothing works until the page is reloaded`];

/** A promise reaction uses no stack of the caller, and fake timers do not delay it. */
export const soon = Promise.resolve();

/** Calls into the running instance; `null` if there is none. Its identity identifies the instance. */
export let call = null;
/**
 * Disconnects the objects that wasm-bindgen made for an instance, so that collecting them calls nothing; returns what
 * it held.
 */
let end = null;
/** Releases the sockets, timers and listeners of the instance. */
let abandon = null;
/** The failure that the objects of the instance have not been notified of yet. */
let broken = null;
/** The times of the failures. */
let failures = [];
let isOver = false;
/** The objects that can still have events, each with the function to call when an instance fails. */
const living = new Map();
/** Objects that would call into a dead instance if they were collected. */
const wrecks = [];

/**
 * An instance has started.
 *
 * @param abandonAll - releases what an instance holds of the platform; a parameter, since the platform imports this file
 */
export function begin(given, abandonAll) {
  call = given;
  abandon = abandonAll;
}

/** Sets the function that disconnects the glue of the starting instance, and its function that needs much stack. */
export function atEnd(deafen, needStack) {
  end = deafen;
  probe = needStack;
}

/** Keeps an object from being collected; calls `fail` when an instance fails, with what the instance held. */
export function keep(object, fail) {
  living.set(object, fail);
}

export function letGo(object) {
  living.delete(object);
}

/** Keeps the remains of an instance that cannot be disconnected. */
export function bury(wreck) {
  if (!end) wrecks.push(wreck);
}

export function hasFailedForGood() {
  return isOver;
}

/** The message for the last failure. */
export function whyFailed() {
  return WHYS[Number(isOver)];
}

/** @throws {DOMException} `InvalidStateError` */
export function checkWorking() {
  if (isOver) throw new DOMException(`ReconnectingWebSocket: ${whyFailed()}`, 'InvalidStateError');
}

/**
 * The {@link call} of the running instance; throws if there is none, which stops code that a failed instance still
 * runs.
 */
export function alive() {
  if (call === null) throw new Error(FAILED);
  return call;
}

/**
 * Whether this is the engine's stack overflow error, which is the program's fault: SpiderMonkey has its own class for
 * it.
 */
export function isExhausted(error) {
  return error instanceof RangeError || error?.name === 'InternalError';
}

/**
 * Ends an instance. This must not fail, even if the stack is exhausted: then the objects on the instance are notified
 * once the running code has returned, or when one of them is used.
 *
 * @param from - the {@link call} of the instance; ignored if that instance has already failed
 * @param what - the exception, or a text for the console
 */
export function moduleFailed(from, what) {
  if (from === null || from !== call) return;
  bury(call);
  call = null;
  broken = what;
  try {
    checkRoom();
  } catch {
    soon.then(cleanUp);
    return;
  }
  cleanUp();
}

/** Notifies the objects on an instance that has failed. */
export function cleanUp() {
  if (broken === null) return;
  const what = broken;
  broken = null;
  const held = end?.() ?? [];
  const now = Date.now();
  failures = [...failures.filter((at) => now - at < WITHIN), now];
  // Code that starts an instance without `atEnd` cannot start another one.
  isOver = !end || failures.length > MOST_FAILURES;
  console.error(`steady-socket: ${whyFailed()}: ${describe(what)}`);
  abandon();
  for (const fail of [...living.values()]) {
    try {
      fail(held);
    } catch (error) {
      report(error);
    }
  }
}

/** A trap's message comes from the engine; other messages might quote a URL. */
function describe(what) {
  if (typeof what === 'string') return what;
  return what instanceof WebAssembly.RuntimeError || isExhausted(what)
    ? `${what.name}: ${what.message}`
    : String(what?.name);
}

// --- The stack ----------------------------------------------------------------------------------------------

/** How often the probe calls itself, with 10 KB each time: several times the stack that a call may need. */
const DEPTH = 2;

/** A WebAssembly function that throws if the stack lacks the room that a call needs. */
let probe = null;

/**
 * Throws the engine's error if the stack is nearly exhausted, so that it occurs before anything has begun: not inside
 * the module, and not between two steps that belong together. The operation that the program requested has then not
 * started.
 */
export function checkRoom() {
  if (probe) probe(DEPTH);
  else recurse(200);
}

/** The same, slowly. */
function recurse(levels) {
  if (levels > 0) recurse(levels - 1);
}
