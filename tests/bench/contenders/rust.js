// The clients made of Rust, each a module of its own, which `tests/bench/rust/contenders` is made into.

import { REAL_SEND } from '../page/cases.js';

/** What a session of a module is opened for: `Purpose` in `tests/bench/rust/contender`. */
const DIRECTIONS = { receive: 'receive', send: 'send', echo: 'both', greet: 'both' };

/** @param takes - whether it takes part in a case that a client made of Rust can take part in */
function rust({ name, crate, package: of, takes = () => true, byHandler = false, ...rest }) {
  let module = null;
  /** The messages of a case as the module has them, by the array of them: its sessions share them. */
  const pools = new WeakMap();
  return {
    ...rest,
    name,
    package: of,
    streams: !byHandler,
    // Not in the case about the call of `send` on a real socket: from there, the cost is the browser's.
    takes: (task) => task.id !== REAL_SEND.id && takes(task),
    async load() {
      module ??= await import(`/rust/${crate}/${crate}.js`);
      await module.default();
    },
    async open({ url, task, messages, onMessage, onOpen, impatient = false }) {
      const { direction, kind, shape = kind } = task;
      if (!pools.has(messages)) {
        // The typed ones are given as JSON, whatever they are sent as.
        const wires = messages.map(({ wire, value }) => (value ? JSON.stringify(value) : wire));
        pools.set(messages, new module.Pool(shape, wires));
      }
      const context = { url, direction: DIRECTIONS[direction], codec: kind, byHandler, impatient, onMessage, onOpen };
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

/** A program that uses one of these decodes JSON by serde_json, and would have to bring MessagePack itself. */
const untyped = ({ kind }) => kind !== 'msgpack';

const receives = ({ direction }) => direction !== 'send';

export const rustClients = [
  rust({ name: 'steady-socket in Rust', crate: 'contender-steady-socket', package: 'steady-socket', reconnects: true }),
  rust({
    name: 'steady-socket in Rust, handler',
    crate: 'contender-steady-socket',
    package: 'steady-socket',
    byHandler: true,
    takes: receives,
  }),
  rust({ name: 'gloo-net', crate: 'contender-gloo-net', package: 'gloo-net', takes: untyped }),
  rust({ name: 'ws_stream_wasm', crate: 'contender-ws-stream-wasm', package: 'ws_stream_wasm', takes: untyped }),
  rust({ name: 'tokio-tungstenite-wasm', crate: 'contender-tokio-tungstenite-wasm', package: 'tokio-tungstenite-wasm', takes: untyped }),
  rust({
    name: 'reconnecting-websocket (crate)',
    crate: 'contender-reconnecting-websocket',
    package: 'reconnecting-websocket (crate)',
    reconnects: true,
    // What is sent waits until its stream is polled: the call is not the cost.
    takes: (task) => untyped(task) && receives(task),
  }),
];
