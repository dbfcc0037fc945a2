// A WebSocket server completely under the test's control: what it sends need not be a message of the endpoint, or of
// any.

import { once } from 'node:events';

import { WebSocketServer } from 'ws';

/**
 * Starts a server on 127.0.0.1 that accepts every connection, and selects the last sub-protocol offered: the one
 * without control messages.
 *
 * @returns `url`; `connection(number)`, a promise of the connection with that number, from 0; and `close`
 */
export async function startScriptedServer() {
  const made = [];
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => [...offered].at(-1),
  });
  server.on('connection', (socket, { url }) => made.push(new Connection(url, socket)));
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    async connection(number) {
      while (made.length <= number) await once(server, 'connection');
      return made[number];
    },
    close: () =>
      new Promise((resolve) => {
        for (const connection of made) connection.cut();
        server.close(resolve);
      }),
  };
}

class Connection {
  #socket;
  #received = [];
  /** The requested path and query. */
  url;
  /** Resolves when the connection has ended, with the client's close code, or `null` if there was none. */
  ended;

  constructor(url, socket) {
    this.url = url;
    this.#socket = socket;
    // A client that has gone is not a failure of the server.
    socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      socket.once('close', (code) => resolve(code === 1006 ? null : code));
    });
    socket.on('message', (data, isBinary) => this.#received.push(isBinary ? data : data.toString()));
  }

  /** Sends text, or bytes as a binary message. */
  send(data) {
    this.#socket.send(data);
  }

  /** The client's next message: a string or a buffer. */
  async received() {
    while (this.#received.length === 0) await once(this.#socket, 'message');
    return this.#received.shift();
  }

  /** Ends the connection as a broken network would. */
  cut() {
    this.#socket.terminate();
  }
}
