// The part of first-socket.test.mjs that runs where the sockets are: in a page, or in a worker of Node. `server` is the
// address of the test's server, whose endpoint `/watch` tells what happens on the others.

const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** A chain of promises, as `await` makes them. */
async function settle() {
  for (let link = 0; link < 10; link += 1) await null;
}

/** Long enough for what the server has done to arrive here. */
const ARRIVAL = 100;

/**
 * Runs a case.
 *
 * @param entry - where to import the package from
 * @param bytes - of the WebAssembly module
 * @param isLate - whether the module comes only at the case's moment, rather than before the socket
 * @returns the events, and what the server saw
 */
async function run(entry, bytes, server, { path, until, options, protocols, act, isLate }) {
  const { ReconnectingWebSocket, load } = await import(entry);
  const seen = [];
  const watch = new WebSocket(`${server}/watch`);
  let look = () => {};
  watch.onmessage = ({ data }) => {
    seen.push(data);
    look();
  };
  const saw = (what) =>
    new Promise((resolve) => {
      look = () => seen.includes(what) && resolve();
      look();
    });
  await new Promise((resolve) => {
    watch.onopen = resolve;
  });
  let release;
  const module = new Promise((resolve) => {
    release = () => resolve(bytes);
  });
  if (!isLate) release();
  const loaded = load({ module });
  if (!isLate) await loaded;
  const events = [];
  const socket = new ReconnectingWebSocket(`${server}${path}`, protocols ?? [], {
    reconnect: false,
    controlMessages: false,
    ...options,
  });
  socket.binaryType = 'arraybuffer';
  for (const type of ['statechange', 'open', 'error']) {
    socket.addEventListener(type, ({ state }) =>
      events.push([type, state ?? null, socket.readyState, socket.protocol]),
    );
  }
  // Promises settle between two messages, since each has a task of its own.
  socket.addEventListener('message', ({ data }) => {
    const shown = typeof data === 'string' ? data : [...new Uint8Array(data)].join();
    events.push(['message', shown]);
    settle().then(() => events.push(['after', shown]));
  });
  const closed = new Promise((resolve) => {
    socket.addEventListener('close', ({ code, reason, wasClean, cause }) => {
      events.push(['close', code, reason, wasClean, cause]);
      resolve();
    });
  });
  socket.send('from the queue');
  if (isLate && until) {
    await saw(until);
    await wait(ARRIVAL);
  }
  const before = events.length;
  await act?.(socket);
  release();
  await loaded.catch(() => {});
  if (path === '/talk' && !act) {
    await saw('/talk got from the queue');
    await wait(ARRIVAL);
    socket.close(4000, 'enough');
  }
  await closed;
  await saw(`${path} is over`);
  watch.close();
  return { events, seen, before };
}

const CASES = {
  'before it opens': { path: '/talk' },
  'after it opened and messages came': { path: '/talk', until: '/talk has said all' },
  'after it closed': { path: '/leave', until: '/leave is over' },
  'after it was refused': { path: '/refuse', until: '/refuse is over' },
  'after it opened with a sub-protocol': { path: '/talk', until: '/talk has said all', protocols: ['b', 'a'] },
};

/** Runs a case with the module there before, and with the module after the socket. */
export async function handOver([entry, bytes, server, what, isLate]) {
  return run(entry, new Uint8Array(bytes), server, { ...CASES[what], isLate });
}

/** The program leaves before there is a module. */
export async function leave([entry, bytes, server, how]) {
  const controller = new AbortController();
  const act = async (socket) => {
    if (how === 'close') socket.close(4000, 'enough');
    else if (how === 'suspend') socket.suspend();
    else controller.abort();
    if (how === 'suspend') socket.close();
    await wait(0);
  };
  const options = { signal: controller.signal };
  return run(entry, new Uint8Array(bytes), server, {
    path: '/talk',
    until: '/talk has said all',
    options,
    act,
    isLate: true,
  });
}

/** The first socket is not answered in time, and the core makes its own. */
export async function outlast([entry, bytes, server]) {
  const act = () => wait(300);
  const options = { connectTimeout: 200 };
  return run(entry, new Uint8Array(bytes), server, { path: '/hang', options, act, isLate: true });
}

/** The module cannot be loaded. */
export async function fail([entry, , server]) {
  const options = { until: '/talk has said all', path: '/talk', isLate: true };
  return run(entry, new Uint8Array([0]), server, { ...options, act: () => wait(0) });
}

/** Where nothing may be opened before there is a module. */
export async function none([entry, , server, what]) {
  const { ReconnectingWebSocket, load } = await import(entry);
  load({ module: new Promise(() => {}) }).catch(() => {});
  let made = 0;
  const Own = class extends WebSocket {
    constructor(...given) {
      super(...given);
      made += 1;
    }
  };
  const { WebSocket: platforms } = globalThis;
  if (what === 'the global is replaced') globalThis.WebSocket = Own;
  const source = what === 'a function gives the URL' ? () => `${server}/talk` : `${server}/talk`;
  const options = {
    'startClosed is set': { startClosed: true },
    'another class is given': { WebSocket: Own },
  }[what];
  const socket = new ReconnectingWebSocket(source, [], options);
  await wait(ARRIVAL);
  globalThis.WebSocket = platforms;
  socket.close();
  return made;
}
