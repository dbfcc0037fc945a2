// The instance of the WebAssembly module that runs, and its end. After a panic or a trap nothing of an instance may be
// called any more, since what it was doing is half done. Its failure is one more loss for every socket on it: a fresh
// instance takes its place, unless instances fail again and again.

import { report } from './events.js';
import { abandonAll } from './ring.js';

/** So many failures within so many milliseconds are made good by a fresh instance, and no more. */
const MOST_FAILURES = 5;
const WITHIN = 600_000;

const FAILED = 'the WebAssembly module of steady-socket has failed';
/** What is said of a failure that is made good, and of one that is not. */
const WHYS = [`${FAILED}, and is started anew`, `${FAILED}, and nothing can be sent or received until the page is reloaded`];

/** A promise's reaction costs no stack, and fake timers do not hold it back. */
export const soon = Promise.resolve();

/** Calls into the instance that runs; `null` where there is none. Which instance that is shows by the identity of this. */
export let call = null;
/** Makes what wasm-bindgen has made for an instance deaf, so that collecting objects calls nothing; gives what it held. */
let end = null;
/** What has failed, until those who live on it are told. */
let broken = null;
/** When instances failed. */
let failures = [];
let isOver = false;
/** The objects on which anything can happen, each with the function that is called when an instance fails. */
const living = new Map();
/** What calls into an instance that is no more when it is collected. */
const wrecks = [];

/** An instance has started. */
export function begin(given) {
  call = given;
}

/** Says what makes the glue of the instance that starts deaf, and its function that needs much stack. */
export function atEnd(deafen, needStack) {
  end = deafen;
  probe = needStack;
}

/** Keeps an object from being collected; `fail` is called when an instance fails, with what that held. */
export function keep(object, fail) {
  living.set(object, fail);
}

export function letGo(object) {
  living.delete(object);
}

/** Keeps what is left of an instance that cannot be made deaf. */
export function bury(wreck) {
  if (!end) wrecks.push(wreck);
}

export function hasFailedForGood() {
  return isOver;
}

/** What is said of the last failure. */
export function whyFailed() {
  return WHYS[Number(isOver)];
}

/** @throws {DOMException} `InvalidStateError` */
export function checkWorking() {
  if (isOver) throw new DOMException(`ReconnectingWebSocket: ${whyFailed()}`, 'InvalidStateError');
}

/** The {@link call} of the instance that runs; for what an instance that has failed still asks for, an exception that ends it. */
export function alive() {
  if (call === null) throw new Error(FAILED);
  return call;
}

/** Whether this is an engine's error that the stack is exhausted, which is the program's: SpiderMonkey has a class of its own. */
export function isExhausted(error) {
  return error instanceof RangeError || error?.name === 'InternalError';
}

/**
 * Ends an instance. Nothing of this may fail, even where the stack is exhausted: then those who live on it are told when
 * the running code is over, or when one of them is used.
 *
 * @param from - the {@link call} of the instance; an earlier one has failed before
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

/** Tells those who lived on an instance that has failed. */
export function cleanUp() {
  if (broken === null) return;
  const what = broken;
  broken = null;
  const held = end?.() ?? [];
  const now = Date.now();
  failures = [...failures.filter((at) => now - at < WITHIN), now];
  // Who starts an instance without more can start no other.
  isOver = !end || failures.length > MOST_FAILURES;
  console.error(`steady-socket: ${whyFailed()}: ${describe(what)}`);
  abandonAll();
  for (const fail of [...living.values()]) {
    try {
      fail(held);
    } catch (error) {
      report(error);
    }
  }
}

/** The message of a trap is the engine's own; another might quote a URL. */
function describe(what) {
  if (typeof what === 'string') return what;
  return what instanceof WebAssembly.RuntimeError || isExhausted(what) ? `${what.name}: ${what.message}` : String(what?.name);
}

// --- The stack ----------------------------------------------------------------------------------------------

/** How often the probe calls itself: with 10 KB each, this has the room that a call may take, several times over. */
const DEPTH = 2;

/** A function of WebAssembly that throws if the stack has not the room that a call takes. */
let probe = null;

/**
 * Throws the engine's error if the stack is nearly exhausted, so that it strikes where nothing is half done: not in the
 * module, and not between two things that belong together. What the program has called is then not begun.
 */
export function checkRoom() {
  if (probe) probe(DEPTH);
  else recurse(200);
}

/** The same, slowly. */
function recurse(levels) {
  if (levels > 0) recurse(levels - 1);
}
