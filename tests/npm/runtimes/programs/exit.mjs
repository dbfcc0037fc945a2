// Does one thing and nothing else, so it ends when the socket allows it.

import process from 'node:process';

import { ReconnectingWebSocket, load } from 'steady-socket';

const { ws, http, query = '', inject, what } = JSON.parse(process.argv[2]);
const id = crypto.randomUUID();
const options = inject ? { WebSocket: (await import('ws')).WebSocket } : {};
const make = (more, url = `${ws}/?id=${id}${query}`) => {
  const socket = new ReconnectingWebSocket(url, [], { ...options, ...more });
  for (const type of ['open', 'close'])
    socket.addEventListener(type, ({ code }) => console.log(code === undefined ? type : `${type} ${code}`));
  return socket;
};
const cut = async (query) => {
  for (let connections = 0; connections === 0; ) {
    ({ connections } = await (await fetch(`${http}/control/cut?id=${id}${query}`, { method: 'POST' })).json());
  }
};

await {
  async 'nothing but the import'() {},
  async 'loads the module'() {
    await load();
  },
  async 'never starts'() {
    make({ startClosed: true });
  },
  async 'waits for the first attempt'() {
    const socket = make();
    socket.onopen = () => socket.close();
  },
  async 'is open until the server says goodbye'() {
    make().onopen = () => {
      cut('&code=1000');
    };
  },
  async 'waits for the next attempt'() {
    const socket = make({ firstDelayMax: 300, minDelay: 300 });
    socket.addEventListener('open', ({ reconnected }) => {
      if (reconnected) socket.close();
      else cut('');
    });
  },
  async 'gives up'() {
    make({ maxRetries: 0 }).onopen = () => {
      cut('');
    };
  },
  // Node 22's WebSocket then fires an error, but no close: with the timeout alone this would take an hour.
  async 'finds nobody at its address'() {
    make({ maxRetries: 0, connectTimeout: 3_600_000 }, 'ws://127.0.0.1:1/');
  },
  async 'is closed before it is open'() {
    make().close();
  },
  async 'is closed while it connects'() {
    const socket = make({
      WebSocket: class extends (options.WebSocket ?? WebSocket) {
        constructor(...given) {
          super(...given);
          queueMicrotask(() => socket.close());
        }
      },
    });
  },
  async 'is closed without an answer'() {
    const socket = make({ closeTimeout: 200 });
    socket.onopen = () => socket.close();
    socket.addEventListener('close', ({ cause }) => console.log(cause));
  },
  async 'exits with a code of its own'() {
    make().onopen = () => process.exit(3);
  },
}[what]();
