// Imports every entry in an environment that reports any access to a browser API.

const touched = [];
for (const name of [
  'window',
  'self',
  'document',
  'location',
  'navigator',
  'WebSocket',
  'Worker',
  'fetch',
  'localStorage',
  'indexedDB',
]) {
  Object.defineProperty(globalThis, name, {
    configurable: true,
    get() {
      touched.push(name);
      return undefined;
    },
  });
}
const entries = [
  'steady-socket',
  'steady-socket/inline',
  'steady-socket/websocket',
  'steady-socket/websocket/inline',
  'steady-socket/msgpack',
  'steady-socket/testing',
];
const exported = {};
for (const entry of entries) exported[entry] = Object.keys(await import(entry)).sort();
console.log(JSON.stringify({ touched, exported }));
