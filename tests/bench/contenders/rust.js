// The clients made of Rust, each a module of its own, which `tests/bench/rust/contenders` is made into.

import { REAL_SEND } from '../page/cases.js';

/** What a session of a module is opened for: `Purpose` in `tests/bench/rust/contender`. */
const DIRECTIONS = { receive: 'receive', send: 'send', echo: 'both', greet: 'both' };

/** The modules that are loaded, by the crate that each is made of. */
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
 * @param msgpack - the crate for MessagePack, which a program that uses another client would have to bring itself
 * @param takes - whether it takes part in a case that a client made of Rust can take part in
 */
function rust({ name, crate, msgpack = null, package: of, takes = () => true, byHandler = false, ...rest }) {
  /** The messages of a case as the module has them, by the array of them: its sessions share them. */
  const pools = new WeakMap();
  return {
    ...rest,
    name,
    package: of,
    streams: !byHandler,
    // Not in the case about the call of `send` on a real socket: from there, the cost is the browser's.
    takes: (task) => task.id !== REAL_SEND.id && (task.kind !== 'msgpack' || msgpack !== null) && takes(task),
    async load() {
      await moduleOf(crate);
    },
    async open({ url, task, messages, onMessage, onOpen, impatient = false }) {
      const { direction, kind, shape = kind } = task;
      const module = await moduleOf(kind === 'msgpack' ? msgpack : crate);
      if (!pools.has(messages)) {
        // The typed ones are given as JSON, whatever they are sent as.
        const wires = messages.map(({ wire, value }) => (value ? JSON.stringify(value) : wire));
        pools.set(messages, new module.Pool(shape, wires));
      }
      const context = { url, direction: DIRECTIONS[direction], byHandler, impatient, onMessage, onOpen };
      const session = await module.open(context, pools.get(messages));
      const { memory, address } = session;
      let tally = new Uint32Array(memory.buffer, address, 2);
      return {
        received() {
          // The memory has grown.
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

const STEADY_SOCKET = { crate: 'contender-steady-socket', msgpack: 'contender-steady-socket-msgpack', package: 'steady-socket' };

export const rustClients = [
  rust({ ...STEADY_SOCKET, name: 'steady-socket in Rust', reconnects: true }),
  rust({ ...STEADY_SOCKET, name: 'steady-socket in Rust, handler', byHandler: true, takes: receives }),
  // No client: the least that a handler in Rust costs.
  rust({ name: 'web-sys, handler', crate: 'contender-web-sys', package: 'web-sys', byHandler: true, takes: ({ direction }) => direction === 'receive' }),
  rust({ name: 'gloo-net', crate: 'contender-gloo-net', package: 'gloo-net' }),
  rust({ name: 'ws_stream_wasm', crate: 'contender-ws-stream-wasm', package: 'ws_stream_wasm' }),
  rust({ name: 'tokio-tungstenite-wasm', crate: 'contender-tokio-tungstenite-wasm', package: 'tokio-tungstenite-wasm' }),
  rust({
    name: 'reconnecting-websocket (crate)',
    crate: 'contender-reconnecting-websocket',
    package: 'reconnecting-websocket (crate)',
    reconnects: true,
    // What is sent waits until its stream is polled: the call is not the cost, and while nothing comes back, most of it waits
    // for ever.
    takes: (task) => receives(task) && task.way !== 'out',
  }),
];
