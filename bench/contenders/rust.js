// The Rust clients, each a module of its own, built from `bench/rust/contenders`.

import { REAL_SEND } from '../page/cases.js';

/** The purposes of a module's session: `Purpose` in `bench/rust/contender`. */
const DIRECTIONS = { receive: 'receive', send: 'send', echo: 'both', greet: 'both' };

/** The loaded modules, by the crate each was built from. */
const modules = new Map();

async function moduleOf(crate) {
  if (!modules.has(crate)) {
    const module = await import(`/rust/${crate}/${crate}.js`);
    await module.default();
    modules.set(crate, module);
  }
  return modules.get(crate);
}

/**
 * @param crate - for text, bytes and JSON
 * @param msgpack - the crate for MessagePack, which programs with another client would have to bring themselves
 * @param takes - whether it takes part in a case that is open to Rust clients
 */
function rust({ name, crate, msgpack = null, package: of, takes = () => true, byHandler = false, ...rest }) {
  /** The messages of a case as the module stores them, by their array: sessions share them. */
  const pools = new WeakMap();
  return {
    ...rest,
    name,
    package: of,
    streams: !byHandler,
    // Not in the case of `send` on a real socket: there the cost is the browser's.
    takes: (task) => task.id !== REAL_SEND.id && (task.kind !== 'msgpack' || msgpack !== null) && takes(task),
    async load() {
      await moduleOf(crate);
    },
    async open({ url, task, messages, onMessage, onOpen, impatient = false }) {
      const { direction, kind, shape = kind } = task;
      const module = await moduleOf(kind === 'msgpack' ? msgpack : crate);
      if (!pools.has(messages)) {
        // Typed messages are passed as JSON, however they are sent.
        const wires = messages.map(({ wire, value }) => (value ? JSON.stringify(value) : wire));
        pools.set(messages, new module.Pool(shape, wires));
      }
      const context = { url, direction: DIRECTIONS[direction], byHandler, impatient, onMessage, onOpen };
      const session = await module.open(context, pools.get(messages));
      const { memory, address } = session;
      let tally = new Uint32Array(memory.buffer, address, 2);
      return {
        received() {
          // The module's memory has grown.
          if (tally.length === 0) tally = new Uint32Array(memory.buffer, address, 2);
          return { count: tally[0], digest: tally[1] };
        },
        send: (count) => session.send(count),
        later: !byHandler,
        close: () => session.close(),
      };
    },
  };
}

const receives = ({ direction }) => direction !== 'send';

const STEADY_SOCKET = {
  crate: 'contender-steady-socket',
  msgpack: 'contender-steady-socket-msgpack',
  package: 'steady-socket',
};

export const rustClients = [
  rust({ ...STEADY_SOCKET, name: 'steady-socket in Rust', reconnects: true }),
  rust({ ...STEADY_SOCKET, name: 'steady-socket in Rust, handler', byHandler: true, takes: receives }),
  // Not a client: the least that a handler in Rust costs.
  rust({
    name: 'web-sys, handler',
    crate: 'contender-web-sys',
    package: 'web-sys',
    byHandler: true,
    takes: ({ direction }) => direction === 'receive',
  }),
  rust({ name: 'gloo-net', crate: 'contender-gloo-net', package: 'gloo-net' }),
  rust({ name: 'ws_stream_wasm', crate: 'contender-ws-stream-wasm', package: 'ws_stream_wasm' }),
  rust({
    name: 'tokio-tungstenite-wasm',
    crate: 'contender-tokio-tungstenite-wasm',
    package: 'tokio-tungstenite-wasm',
  }),
  rust({
    name: 'reconnecting-websocket (crate)',
    crate: 'contender-reconnecting-websocket',
    package: 'reconnecting-websocket (crate)',
    reconnects: true,
    // Messages wait until its stream is polled: the call is not the cost, and as long as nothing comes back, most of
    // them wait for ever.
    takes: (task) => receives(task) && task.way !== 'out',
  }),
];
