// The clients made of Rust, each a module of its own, which `tests/bench/rust/contenders` is made into.

/** @param takes - whether it takes part in a case that a client made of Rust can take part in */
function rust({ name, crate, package: of, takes = () => true, by }) {
  let module = null;
  return {
    name,
    package: of,
    // What they do is against the stub; on a real socket, the cost is the browser's.
    takes: (task) => (task.id === `receive/${suffix(task)}` || task.id === `send/${suffix(task)}`) && takes(task),
    async load() {
      module ??= await import(`/rust/${crate}/${crate}.js`);
      await module.default();
    },
    async open({ url, task, messages }) {
      const { direction, kind, shape = kind } = task;
      // The typed ones are given as JSON, whatever they are sent as.
      const wires = messages.map(({ wire, value }) => (value ? JSON.stringify(value) : wire));
      const session = await module.open(url, shape, direction === 'receive', wires, kind, module.By?.[by]);
      const { memory, address } = session;
      let tally = new Uint32Array(memory.buffer, address, 2);
      return {
        received() {
          // The memory has grown.
          if (tally.length === 0) tally = new Uint32Array(memory.buffer, address, 2);
          return { count: tally[0], digest: tally[1] };
        },
        send: (count) => session.send(count),
        later: by !== 'Handler',
        close: () => session.close(),
      };
    },
  };
}

function suffix({ kind, shape, bytes }) {
  return shape ? `${kind}/${shape}-${bytes}` : `${kind}/${bytes}`;
}

/** A program that uses one of these decodes JSON by serde_json, and would have to bring MessagePack itself. */
const untyped = ({ kind }) => kind !== 'msgpack';

export const rustClients = [
  rust({ name: 'steady-socket in Rust', crate: 'contender-steady-socket', package: 'steady-socket', by: 'Stream' }),
  rust({
    name: 'steady-socket in Rust, handler',
    crate: 'contender-steady-socket',
    package: 'steady-socket',
    by: 'Handler',
    takes: ({ direction }) => direction === 'receive',
  }),
  rust({ name: 'gloo-net', crate: 'contender-gloo-net', package: 'gloo-net', takes: untyped }),
  rust({ name: 'ws_stream_wasm', crate: 'contender-ws-stream-wasm', package: 'ws_stream_wasm', takes: untyped }),
  rust({ name: 'tokio-tungstenite-wasm', crate: 'contender-tokio-tungstenite-wasm', package: 'tokio-tungstenite-wasm', takes: untyped }),
  rust({
    name: 'reconnecting-websocket (crate)',
    crate: 'contender-reconnecting-websocket',
    package: 'reconnecting-websocket (crate)',
    takes: (task) => untyped(task) && task.direction === 'receive',
  }),
];
