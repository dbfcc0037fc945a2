// The instance of the WebAssembly module that runs, and its end. After a panic or a trap nothing of an instance may be
// called any more, since what it was doing is half done. Its failure is one more loss for every socket on it: a fresh
// instance takes its place, unless instances fail again and again.

import { report } from './events.js';

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
/** Makes what wasm-bindgen has made for an instance deaf, so that collecting objects calls nothing. */
let end = null;
/** What has failed, until those who live on it are told. */
let broken = null;
/** When instances failed. */
let failures = [];
let isOver = false;
/** Whoever loads the module can start a fresh instance. */
let canRestart = false;
/** Lets go of all timers and sockets. */
let abandon = () => {};
/** The objects on which anything can happen, each with the function that is called when an instance fails. */
const living = new Map();
/** What calls into an instance that is no more when it is collected. */
const wrecks = [];

/** Says what lets go of all that could call into the module. */
export function setAbandon(letGoOfAll) {
  abandon = letGoOfAll;
}

/** Says that a fresh instance can be started, by {@link begin}. */
export function allowRestart() {
  canRestart = true;
}

/** An instance has started. */
export function begin(given) {
  call = given;
  if (!probe) probe = makeProbe();
}

/** Says what makes the glue of the instance that starts deaf. */
export function atEnd(deafen) {
  end = deafen;
}

/** Keeps an object from being collected; `fail` is called when an instance fails. */
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
  end?.();
  const now = Date.now();
  failures = [...failures.filter((at) => now - at < WITHIN), now];
  isOver = !canRestart || failures.length > MOST_FAILURES;
  console.error(`steady-socket: ${whyFailed()}: ${describe(what)}`);
  abandon();
  for (const fail of [...living.values()]) {
    try {
      fail();
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

/** Throws if the stack has not the room that a call takes. */
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

/**
 * A function of WebAssembly that needs 10 KB of stack each time that it calls itself, and touches none of it: engines look
 * whether there is room for all that a function may need when it begins. To use up as much by JavaScript takes a
 * hundred times as long.
 */
function makeProbe() {
  // As many as make a module of 4 KB: some browsers compile no larger one at once.
  const HELD = 1_300;
  const body = [
    // No locals; if the argument is negative, which it never is: so many results that are all needed at the end …
    0, 0x20, 0, 0x41, 0, 0x48, 0x04, 0x7c, ...Array(HELD).fill([0x10, 0]).flat(), ...Array(HELD - 1).fill(0xa0),
    // … and otherwise, if it is not 0, the function itself with one less.
    0x05, 0x20, 0, 0x04, 0x7c, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x05, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0x0b, 0x0b,
  ];
  const leb = (size) => [(size & 0x7f) | 0x80, size >> 7];
  const bytes = [
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    // Types: [] → f64 and i32 → f64. One import of the first, one function of the second, which is exported.
    1, 10, 2, 0x60, 0, 1, 0x7c, 0x60, 1, 0x7f, 1, 0x7c, 2, 5, 1, 0, 0, 0, 0, 3, 2, 1, 1, 7, 4, 1, 0, 0, 1,
    10, ...leb(body.length + 3), 1, ...leb(body.length), ...body,
  ];
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)), { '': { '': () => 0 } });
    return exports[''];
  } catch {
    return null;
  }
}
