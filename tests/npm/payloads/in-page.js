// The part of payloads.test.mjs that runs in a page.

/** Part of every payload, and of nothing else. */
const MARK = 'a payload, unlike anything else: 5Y6rCq0vXo';
/** Each as long as the server accepts. Together they are several times the module's memory. */
const LONG = MARK.repeat(Math.floor(60_000 / MARK.length));
const COUNT = 120;

/** The module's memory, from the moment it is loaded. */
let memory;
for (const name of ['instantiate', 'instantiateStreaming']) {
  const original = WebAssembly[name];
  WebAssembly[name] = async (...given) => {
    const result = await original.apply(WebAssembly, given);
    memory = (result.instance ?? result).exports.memory;
    return result;
  };
}

/** Whether the memory contains the mark, as UTF-8 or as UTF-16. */
function hasMark() {
  const text = new TextDecoder('latin1').decode(new Uint8Array(memory.buffer));
  return text.includes(MARK) || text.includes([...MARK].join('\0'));
}

const bytes = () => new TextEncoder().encode(LONG);

const DROP_IN = { text: () => LONG, buffer: () => bytes().buffer, view: bytes, blob: () => new Blob([LONG]) };

/**
 * Sends many messages, the first half before the connection is open, waits for their echoes, and loses one from a queue
 * by closing it.
 */
export async function passThrough(kind, url) {
  const { ReconnectingWebSocket, TypedSocket, load } = await import('/pkg/index.js');
  const { msgpack } = await import('/pkg/typed/msgpack.js');
  await load();
  const before = memory.buffer.byteLength;
  const make = DROP_IN[kind] ?? (() => ({ text: LONG }));
  const options = { maxQueuedBytes: 2 ** 26, firstDelayMax: 0 };
  const socket = DROP_IN[kind]
    ? new ReconnectingWebSocket(url, [], options)
    : new TypedSocket(url, { ...options, codec: kind === 'MessagePack' ? msgpack : undefined });
  let echoes = 0;
  const all = new Promise((resolve, reject) => {
    socket.onmessage = () => {
      echoes += 1;
      if (echoes === COUNT) resolve();
    };
    socket.onclose = ({ explanation }) => reject(new Error(explanation));
  });
  for (let sent = 0; sent < COUNT / 2; sent += 1) socket.send(make());
  await new Promise((resolve) => {
    socket.addEventListener('open', resolve, { once: true });
  });
  for (let sent = 0; sent < COUNT / 2; sent += 1) socket.send(make());
  await all;
  socket.onclose = null;
  const dropped = new Promise((resolve) => {
    socket.addEventListener('dropped', resolve);
  });
  socket.reconnect();
  socket.send(make());
  socket.close();
  await dropped;
  return { echoes, grown: memory.buffer.byteLength - before, found: hasMark() };
}

/** Finds a text that the module does need, which proves that others would be found. */
export async function closeWithReason(url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/index.js');
  await load();
  const found = [hasMark()];
  const socket = new ReconnectingWebSocket(url);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const closed = new Promise((resolve) => {
    socket.onclose = resolve;
  });
  socket.close(4000, MARK);
  await closed;
  return [...found, hasMark()];
}
