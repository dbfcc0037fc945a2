// What the servers of all protocols share: counting connections, and ending them when a test says so.

import { createServer } from 'node:http';

import { WebSocketServer } from 'ws';

/** The interval of the numbers that a server sends to each subscriber, in milliseconds. */
export const PERIOD = 50;

/**
 * Starts a server on a free port of 127.0.0.1.
 *
 * @param protocol - called with `wss`, a `WebSocketServer` that emits `connection` events, and `subscriptions`, a set
 *   with an object for each subscription; may return `close`, and `wss`, if the protocol's library has created its own
 * @returns the address, the numbers of connections, and functions that end them
 */
export async function startServer(protocol) {
  const http = createServer((_, response) => {
    response.writeHead(426).end();
  });
  const subscriptions = new Set();
  const own = new WebSocketServer({ noServer: true });
  const { wss = own, close = () => {} } = (await protocol({ wss: own, subscriptions, http })) ?? {};
  /** TCP connections that are upgraded, or about to be. */
  const live = new Set();
  let refusals = 0;
  const counts = { made: 0, most: 0, refused: 0 };
  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (refusals > 0) {
      refusals -= 1;
      counts.refused += 1;
      socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    counts.made += 1;
    live.add(socket);
    counts.most = Math.max(counts.most, live.size);
    socket.on('close', () => live.delete(socket));
    wss.handleUpgrade(request, socket, head, (websocket) => {
      websocket.on('error', () => {});
      wss.emit('connection', websocket, request);
    });
  });
  await new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(0, '127.0.0.1', resolve);
  });
  return {
    address: `ws://127.0.0.1:${http.address().port}`,
    counts,
    live: () => live.size,
    subscriptions: () => subscriptions.size,
    /** Refuses the given number of subsequent handshakes. */
    refuse(count) {
      refusals = count;
    },
    /** Ends all connections without a close frame. */
    cut() {
      for (const websocket of wss.clients) websocket.terminate();
    },
    /** Closes all connections. */
    goodbye(code) {
      for (const websocket of wss.clients) websocket.close(code, 'going away');
    },
    async close() {
      for (const socket of live) socket.destroy();
      await close();
      await new Promise((resolve) => {
        http.close(resolve);
      });
    },
  };
}

/** Calls `send` with 1, 2, 3, … until the connection ends or the returned function is called. */
export function tick(subscriptions, websocket, send) {
  const subscription = {};
  subscriptions.add(subscription);
  let value = 0;
  const timer = setInterval(() => {
    value += 1;
    if (websocket.readyState === websocket.OPEN) send(value);
  }, PERIOD);
  const end = () => {
    clearInterval(timer);
    subscriptions.delete(subscription);
  };
  websocket.on('close', end);
  return end;
}
