// The sources from which the tests load the WebAssembly module: functions that run in a page.

const bytesOf = async (place) => (await fetch(place)).arrayBuffer();

/** Another realm. */
function frame() {
  const element = document.createElement('iframe');
  document.body.append(element);
  return element.contentWindow;
}

/** Each turns the location of the file, which is fetched once, into the option `module`. */
export const GOOD = {
  'an absolute URL': (place) => new URL(place, location.href).href,
  'a URL relative to the page': (place) => `..${place}`,
  'a URL object': (place) => new URL(place, location.href),
  'a Response': (place) => fetch(place),
  'a promise of a URL': async (place) => new URL(place, location.href),
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  'a thenable': (place) => ({ then: (resolve) => resolve(place) }),
  'a Response without a type': async (place) => new Response(await bytesOf(place)),
  'a buffer': (place) => bytesOf(place),
  'a part of a buffer': async (place) => {
    const bytes = new Uint8Array(await bytesOf(place));
    const padded = new Uint8Array(bytes.length + 16);
    padded.set(bytes, 8);
    return padded.subarray(8, 8 + bytes.length);
  },
  'a DataView': async (place) => new DataView(await bytesOf(place)),
  'a WebAssembly.Module': async (place) => WebAssembly.compile(await bytesOf(place)),
  'a Response of another realm': (place) => frame().fetch(new URL(place, location.href)),
  'a WebAssembly.Module of another realm': async (place) => frame().WebAssembly.compile(await bytesOf(place)),
};

/** Values that the option rejects. */
export const REFUSED = {
  null: () => null,
  'a number': () => 7,
  'a flag': () => true,
  'a symbol': () => Symbol('x'),
  'an array': () => [],
  'an object': () => ({}),
  'a function': () => () => {},
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'a Request': () => new Request('/x.wasm'),
};

const HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** The name of the export that starts the right module. */
const START = [...'__wbindgen_start'].map((character) => character.charCodeAt(0));
/** One function type, and an import of that type. */
const TYPE = [1, 4, 1, 0x60, 0, 0];
const IMPORT = [2, 7, 1, 1, 0x6d, 1, 0x66, 0, 0];
const EXPORT = [7, START.length + 4, 1, START.length, ...START, 0, 0];

/** Each returns a module that cannot be loaded, and the expected error. */
export const BAD = {
  'a file that is not there': [() => '/nowhere.wasm', /the answer for http:.*\/nowhere\.wasm is 404 Not Found$/],
  'a page in place of a file': [
    () => '/page.wasm',
    /the answer for http:.*\/page\.wasm is a page \(text\/html\) and no WebAssembly: was the file copied/,
  ],
  'a broken file': [() => '/broken.wasm', /could not be loaded: .+/],
  'a server that cannot be reached': [
    () => 'http://127.0.0.1:1/x.wasm',
    /http:\/\/127\.0\.0\.1:1\/x\.wasm could not be fetched: .+/,
  ],
  'a URL that the policy forbids': [
    () => 'https://example.invalid/x.wasm',
    /connect-src has to allow https:\/\/example\.invalid\/x\.wasm|x\.wasm could not be fetched: .+/,
  ],
  'an error page': [() => new Response('no', { status: 503, statusText: 'Busy' }), /the response is 503 Busy$/],
  'a response that was read': [
    async () => {
      const response = new Response('x');
      await response.text();
      return response;
    },
    /the response was read before; give load\(\) another one$/,
  ],
  'no bytes': [() => new ArrayBuffer(0), /could not be loaded: .+/],
  'bytes that are no WebAssembly': [() => new TextEncoder().encode('<!doctype html>'), /could not be loaded: .+/],
  'another module': [
    () => new Uint8Array(HEAD),
    /this is not the module of this version of steady-socket: it does not export what that does$/,
  ],
  'a module that needs something else': [
    () => new Uint8Array([...HEAD, ...TYPE, ...IMPORT, ...EXPORT]),
    /this is not the module of this version of steady-socket: .+/,
  ],
  'a promise that rejects': [() => Promise.reject(new Error('no bucket')), /could not be loaded: no bucket$/],
  'a promise of something else': [
    () => Promise.resolve(7),
    /could not be loaded: ReconnectingWebSocket: the promise in option module: a number was given; this takes a URL, .* WebAssembly\.Module$/,
  ],
};
