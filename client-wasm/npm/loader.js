// Loads the WebAssembly module for the package's entries: when the first socket needs it, or on `load()`. Importing
// this file loads nothing and touches no browser API.

import { setLoader, start } from './wasm/steady_socket_wasm.js';

/** An export of the module, once started. */
const START = '__wbindgen_start';

/** Platform features that the module and its JavaScript require, and some test environments lack. */
const NEEDED = ['WebAssembly', 'TextDecoder', 'TextEncoder'];

/** Where to find the module unless the program says so: functions that return its location or content. */
const places = { embedded: null, file: null };

/**
 * Called by a module that an entry imports besides this one. If both kinds were provided, the embedded module is used:
 * it is there already.
 *
 * @param kind - `embedded` or `file`
 * @param give - returns the URL, or the bytes or a promise of them
 */
export function provide(kind, give) {
  places[kind] = give;
}

const exported = setLoader(loadModule);
export const { ReconnectingWebSocket, load, inner } = exported;
const { Hopeless, atEnd } = exported;

/** The compiled module, once an instance has started: a fresh instance needs nothing else. */
let compiled;

async function loadModule(signal, given) {
  const missing = NEEDED.filter((name) => !globalThis[name]);
  if (missing.length > 0) throw new Hopeless(`there is no ${missing.join(' and no ')} here`);
  let from;
  try {
    from = given ?? (await (places.embedded ?? places.file)());
    const module = compiled ?? (await compile(from, signal));
    if (!WebAssembly.Module.exports(module).some(({ name }) => name === START))
      throw anotherModule('it does not export what that does');
    await start(module, atEnd).catch((error) => {
      // An import is missing, or a whole namespace of imports.
      throw error instanceof WebAssembly.LinkError || error instanceof TypeError ? anotherModule(error.message) : error;
    });
    compiled = module;
  } catch (error) {
    const is = forbidden(error) ?? error;
    // The file may be there the next time, but a source in the program itself stays the same.
    throw typeof from === 'string' || signal.aborted ? is : new Hopeless(is.message, { cause: is });
  }
}

function anotherModule(why) {
  return new Hopeless(`this is not the module of this version of steady-socket: ${why}`);
}

/** The error for a page's policy, which Chromium words as if 'unsafe-eval' were needed. */
function forbidden(error) {
  if (!(error instanceof WebAssembly.CompileError) || !/Content Security Policy|CSP/.test(error.message))
    return undefined;
  return new Hopeless(
    `the content security policy forbids it, whose script-src has to have 'wasm-unsafe-eval': ${error.message}`,
    { cause: error },
  );
}

/** Compiles a URL, a response or bytes; returns a module unchanged. */
async function compile(from, signal) {
  if (typeof from === 'string') return compile(await open(from, signal), signal);
  // By tag, as it may belong to another realm.
  if (Object.prototype.toString.call(from) === '[object WebAssembly.Module]') return from;
  if (typeof from.arrayBuffer === 'function') return compileResponse(from);
  // Chromium does not accept a DataView.
  return WebAssembly.compile(
    ArrayBuffer.isView(from) ? new Uint8Array(from.buffer, from.byteOffset, from.byteLength) : from,
  );
}

/**
 * Opens a URL. Not left to wasm-bindgen's `init`, which cannot be aborted and does not read files.
 *
 * @returns bytes or a response
 */
async function open(url, signal) {
  // For Node, Deno and Bun. Not imported, since bundlers for browsers would try to resolve it.
  const fs = url.startsWith('file:') && globalThis.process?.getBuiltinModule?.('node:fs');
  let violated = '';
  const see = ({ blockedURI, effectiveDirective, disposition }) => {
    if (disposition === 'enforce' && url.startsWith(blockedURI)) violated = effectiveDirective;
  };
  globalThis.addEventListener?.('securitypolicyviolation', see);
  try {
    return await (fs ? fs.promises.readFile(new URL(url), { signal }) : fetch(url, { signal }));
  } catch (cause) {
    signal.throwIfAborted();
    // The event for a policy violation fires in a task of its own.
    await new Promise((resolve) => {
      setTimeout(resolve);
    });
    if (violated)
      throw new Hopeless(`the content security policy forbids it, whose ${violated} has to allow ${shown(url)}`, {
        cause,
      });
    const Kind = cause.code === 'ENOENT' ? Hopeless : Error;
    throw new Kind(`${shown(url)} could not be ${fs ? 'read' : 'fetched'}: ${cause.message}`, { cause });
  } finally {
    globalThis.removeEventListener?.('securitypolicyviolation', see);
  }
}

async function compileResponse(response) {
  const { ok, status, statusText, bodyUsed, headers } = response;
  const what = response.url ? `the answer for ${shown(response.url)}` : 'the response';
  if (!ok) throw new Error(`${what} is ${status} ${statusText}`.trimEnd());
  if (bodyUsed) throw new Error(`${what} was read before; give load() another one`);
  const [type] = (headers.get('Content-Type') ?? '').split(';');
  if (type === 'text/html') {
    throw new Error(`${what} is a page (text/html) and no WebAssembly: was the file copied to where it is looked for?`);
  }
  // Streaming accepts no other type and no other class.
  return type === 'application/wasm' && response instanceof Response && WebAssembly.compileStreaming
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

/** A URL for a message: a `data:` URL contains the whole module. */
function shown(url) {
  return url.length > 200 ? `${url.slice(0, 200)}…` : url;
}
