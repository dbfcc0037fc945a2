// The packed package's entry with sessions, in Node, and servers to talk to.

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { WebSocket, WebSocketServer } from 'ws';

import { startServer } from '../../faults/lib/servers.mjs';
import { PATIENCE, within } from '../../lib/limits.mjs';
import { installPackage } from '../../lib/package.mjs';

/** Retries at once: no test here is about the wait. */
export const AT_ONCE = { firstDelayMax: 5, minDelay: 0, baseDelay: 5, maxDelay: 20, attemptInterval: 0 };

/** Every event that a session may have more than a plain socket, and those that tell of messages. */
const EVENTS = [
  'open',
  'close',
  'dropped',
  'invalid',
  'sessionstart',
  'resumed',
  'sessionlost',
  'sessionend',
  'sessionunavailable',
  'undelivered',
  'stalled',
];

/**
 * Installs the package.
 *
 * @returns `session`, `plain` and `msgpack`, the exports of its entries; `make(Class, url, options)`, which makes a
 *   socket and remembers it; `closeAll`, which aborts them; `remove`
 */
export async function importSessions(purpose) {
  const { folder, remove } = await installPackage(purpose, { inside: true });
  try {
    const load = (file) => import(pathToFileURL(path.join(folder, file)).href);
    const session = await load('session/inline.js');
    const plain = await load('inline.js');
    const { msgpack } = await load('typed/msgpack.js');
    const made = [];
    const make = (kind, url, options = {}) => {
      const stop = new AbortController();
      const nets = [];
      class Net extends WebSocket {
        constructor(...given) {
          super(...given);
          nets.push(this);
        }
      }
      const all = { session: true, WebSocket: Net, signal: stop.signal, ...AT_ONCE, ...options };
      const socket =
        kind === 'typed' ? new session.TypedSocket(url, all) : new session.ReconnectingWebSocket(url, [], all);
      const seen = [];
      for (const type of EVENTS) socket.addEventListener(type, (event) => seen.push(event));
      made.push(() => {
        stop.abort();
        for (const net of nets) net.terminate();
      });
      return {
        socket,
        nets,
        seen,
        stop,
        of: (type) => seen.filter((event) => event.type === type),
        types: () => seen.map(({ type }) => type),
        cut: () => nets.at(-1).terminate(),
      };
    };
    const closeAll = () => {
      for (const end of made.splice(0)) end();
    };
    return { session, plain, msgpack, folder, make, closeAll, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The test server, which forgets all its sessions if it is started again at its own port. */
export async function startSessions(...options) {
  let server = await startServer('test-server', options);
  const { port } = server;
  return {
    port,
    ws: server.ws,
    stop: () => server.stop(),
    async again() {
      await server.stop();
      server = await startServer('test-server', ['--port', String(port), ...options]);
    },
  };
}

const WELCOME = {
  outcome: 'fresh',
  epoch: 88172645463325,
  owner: 1,
  received: 0,
  handled: 0,
  first: 1,
  sent: 0,
  messages: 1_000,
  bytes: 1_048_576,
  message: 1_048_576,
  requests: 64,
  window: 120_000,
};

/** The frame of a welcome; what is not given is as in a fresh session. */
export function welcome(fields = {}) {
  const all = Object.entries({ ...WELCOME, ...fields }).filter(([, value]) => value !== undefined);
  return `~welcome ${all.map(([name, value]) => `${name}=${value}`).join(' ')}`;
}

/** The fields of a hello. */
export function helloFields(frame) {
  return Object.fromEntries(
    frame
      .split(' ')
      .slice(1)
      .map((field) => field.split(/=(.*)/s).slice(0, 2)),
  );
}

/**
 * A server that says what a test tells it to.
 *
 * @param choose - picks the sub-protocol among those offered, a set; the default is the first
 * @returns `url`; `connection(patience)`, the next connection: its `offered` sub-protocols, `next()`, which waits for
 *   the next frame, text as a string and bytes as a `Buffer`, `frames`, all so far, `send`, `close` and `cut`; `stop`
 */
export async function scripted(choose = (offered) => [...offered][0] ?? false) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: (offered) => choose(offered) });
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const waiting = queue();
  server.on('connection', (socket, request) => {
    const frames = [];
    const arriving = queue();
    socket.on('message', (data, isBinary) => {
      const frame = isBinary ? data : String(data);
      frames.push(frame);
      arriving.push(frame);
    });
    const closed = new Promise((resolve) => {
      socket.once('close', (code) => resolve(code));
    });
    waiting.push({
      offered: (request.headers['sec-websocket-protocol'] ?? '').split(',').filter((name) => name !== ''),
      frames,
      closed,
      next: (what = 'a frame') => within(arriving.shift(), what),
      send: (data) => socket.send(data),
      close: (code, reason) => socket.close(code, reason),
      cut: () => socket.terminate(),
    });
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}/`,
    connection: (what = 'a connection') => within(waiting.shift(), what),
    stop: () =>
      new Promise((resolve) => {
        for (const client of server.clients) client.terminate();
        server.close(resolve);
      }),
  };
}

/** Whoever asks for the next element of this waits until there is one. */
function queue() {
  const kept = [];
  const asked = [];
  return {
    push(value) {
      if (asked.length > 0) asked.shift()(value);
      else kept.push(value);
    },
    shift: () =>
      kept.length > 0
        ? Promise.resolve(kept.shift())
        : new Promise((resolve) => {
            asked.push(resolve);
          }),
  };
}

/** Waits until `find` returns something, and returns it. */
export async function eventually(what, find, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await find();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${patience} ms`);
    await pause(5);
  }
}

export function pause(millis) {
  return new Promise((resolve) => {
    setTimeout(resolve, millis);
  });
}

/** How a promise ended: the value, or the name of its error, with the code if it has one. */
export function endOf(promise, what = 'the end of a promise') {
  return within(
    promise.then(
      (value) => ['resolved', value],
      (error) => [error.name, error.code, error],
    ),
    what,
  );
}

/** Numbers from 0. */
export function upTo(count) {
  return Array.from({ length: count }, (_, index) => index);
}
