// A WebSocket server completely under the test's control: what it sends need not be a message of the endpoint, or of
// any.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

/** The GUID that a server appends to the client's key (RFC 6455). */
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;

/** The longest message that fits in a frame with a two-byte length. */
const LONGEST = 0xffff;

/**
 * Starts a server on 127.0.0.1 that accepts every connection, and selects the last sub-protocol offered: the one
 * without control messages.
 *
 * @returns `url`; `connection(number)`, a promise of the connection with that number, from 0; and `close`
 */
export async function startScriptedServer() {
  const made = [];
  const waiting = [];
  const server = createServer((_request, response) => response.writeHead(426).end());
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1')
      .update(request.headers['sec-websocket-key'] + MAGIC)
      .digest('base64');
    const protocol = request.headers['sec-websocket-protocol']?.split(/, */).at(-1);
    socket.write(
      [
        'HTTP/1.1 101 Switching Protocols',
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Accept: ${accept}`,
        ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []),
        '',
        '',
      ].join('\r\n'),
    );
    made.push(new Connection(request.url, socket));
    for (const wake of waiting.splice(0)) wake();
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    async connection(number) {
      while (made.length <= number)
        await new Promise((resolve) => {
          waiting.push(resolve);
        });
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
  #rest = Buffer.alloc(0);
  #received = [];
  #waiting = [];
  /** The requested path and query. */
  url;
  /** Resolves when the connection has ended, with the client's close code, or `null` if there was none. */
  ended;

  constructor(url, socket) {
    this.url = url;
    this.#socket = socket;
    let code = null;
    // A client that has gone is not a failure of the server.
    socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      socket.once('close', () => resolve(code));
    });
    socket.on('data', (bytes) => {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      for (let frame = this.#frame(); frame; frame = this.#frame()) {
        if (frame.opcode === CLOSE) {
          code = frame.payload.length >= 2 ? frame.payload.readUInt16BE() : 1005;
          this.#write(CLOSE, frame.payload);
          socket.end();
        } else {
          this.#received.push(frame.opcode === TEXT ? frame.payload.toString() : frame.payload);
          this.#waiting.shift()?.();
        }
      }
    });
  }

  /** Sends text, or bytes as a binary message. */
  send(data) {
    this.#write(typeof data === 'string' ? TEXT : BINARY, Buffer.from(data));
  }

  /** The client's next message: a string or a buffer. */
  async received() {
    while (this.#received.length === 0)
      await new Promise((resolve) => {
        this.#waiting.push(resolve);
      });
    return this.#received.shift();
  }

  /** Ends the connection as a broken network would. */
  cut() {
    this.#socket.destroy();
  }

  #write(opcode, payload) {
    if (payload.length > LONGEST) throw new RangeError(`${payload.length} bytes are too many for this server`);
    const { length } = payload;
    const head = length < 126 ? [0x80 | opcode, length] : [0x80 | opcode, 126, length >> 8, length & 0xff];
    this.#socket.write(Buffer.concat([Buffer.from(head), payload]));
  }

  /** Takes one complete frame of the client from the data received; its payload is masked. */
  #frame() {
    const rest = this.#rest;
    if (rest.length < 2) return undefined;
    const short = rest[1] & 0x7f;
    const head = short === 126 ? 4 : 2;
    if (short === 127) throw new RangeError('this server takes no message of more than 65,535 bytes');
    if (rest.length < head + 4) return undefined;
    const length = short === 126 ? rest.readUInt16BE(2) : short;
    const end = head + 4 + length;
    if (rest.length < end) return undefined;
    const mask = rest.subarray(head, head + 4);
    const payload = Buffer.from(rest.subarray(head + 4, end).map((byte, index) => byte ^ mask[index % 4]));
    this.#rest = rest.subarray(end);
    return { opcode: rest[0] & 0xf, payload };
  }
}
