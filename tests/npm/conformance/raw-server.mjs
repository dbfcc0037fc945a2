// A WebSocket server whose handshake response is whatever a case wants, unlike a real server's. The URL's query
// controls it:
//
//     protocol=NAME     the response selects this sub-protocol, offered or not (repeated: several headers)
//     select=first      the response selects the first one offered
//     extension=TEXT    the response selects this extension
//     mirror=1          the first message is a JSON array of the sub-protocols offered
//     frames=HEX        these bytes follow the response
//     wait=1            … or, with this, the client's first message
//     echo=1            every message is echoed
//     huge=N            a binary message of N zero bytes follows the response
//     deaf=1            a Close is not answered
//
// Otherwise a Close is answered with the same, once. Paths other than / are refused.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONTINUATION = 0x0;
const CLOSE = 0x8;
const EMPTY_CLOSE = '8800';

/** Starts the server on a free port of 127.0.0.1. See {@link listen} for the result. */
export function startRawServer() {
  return listen(answer);
}

/** Starts a server that answers no handshake: on its own port, since browsers connect to a port one at a time. */
export function startSilentServer() {
  return listen(() => {});
}

/**
 * @param upgrade - called with every handshake request and its socket
 * @returns `address` (`ws:`, without a trailing slash) and `close`
 */
async function listen(upgrade) {
  const sockets = new Set();
  const server = createServer((_, response) => {
    response.writeHead(426).end();
  });
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A browser that has gone resets its connections.
    socket.on('error', () => socket.destroy());
    upgrade(request, socket);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    address: `ws://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(resolve);
      }),
  };
}

function answer(request, socket) {
  const { pathname, searchParams: wanted } = new URL(request.url, 'http://localhost');
  if (pathname !== '/') {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  const offered = request.headers['sec-websocket-protocol']?.split(/,\s*/) ?? [];
  const selected = wanted.has('select') ? offered.slice(0, 1) : wanted.getAll('protocol');
  const accept = createHash('sha1')
    .update(request.headers['sec-websocket-key'] + GUID)
    .digest('base64');
  socket.write(
    [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`,
      ...selected.map((name) => `Sec-WebSocket-Protocol: ${name}`),
      ...wanted.getAll('extension').map((text) => `Sec-WebSocket-Extensions: ${text}`),
      '\r\n',
    ].join('\r\n'),
  );
  if (wanted.has('mirror')) socket.write(frame(0x1, JSON.stringify(offered)));
  const frames = Buffer.from(wanted.get('frames') ?? '', 'hex');
  if (!wanted.has('wait')) socket.write(frames);
  if (wanted.has('huge')) socket.write(frame(0x2, Buffer.alloc(Number(wanted.get('huge')))));
  if (wanted.has('deaf')) return;
  const hasClosed = wanted.get('frames')?.endsWith(EMPTY_CLOSE);
  serve(socket, hasClosed, (opcode, body) => {
    if (wanted.has('wait')) socket.write(frames);
    if (wanted.has('echo')) socket.write(frame(opcode, body));
  });
}

/** An unmasked frame with a complete message. */
function frame(opcode, content) {
  const body = Buffer.from(content);
  const head = Buffer.alloc(body.length < 126 ? 2 : body.length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = head.length === 2 ? body.length : head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(body.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([head, body]);
}

/**
 * Passes the client's messages to `receive` until a Close arrives, which it answers, unless that Close is itself the
 * answer.
 */
function serve(socket, hasClosed, receive) {
  let unread = Buffer.alloc(0);
  let message = { parts: [] };
  socket.on('data', (data) => {
    unread = Buffer.concat([unread, data]);
    for (let next = readFrame(unread); next; next = readFrame(unread)) {
      unread = unread.subarray(next.end);
      if (next.opcode === CLOSE) {
        socket.end(hasClosed ? undefined : frame(CLOSE, next.body));
        return;
      }
      if (next.opcode > CLOSE) continue;
      if (next.opcode !== CONTINUATION) message = { opcode: next.opcode, parts: [] };
      message.parts.push(next.body);
      if (next.fin) receive(message.opcode, Buffer.concat(message.parts));
    }
  });
}

/** The first frame in the client's data, or `null` while it is incomplete. */
function readFrame(bytes) {
  if (bytes.length < 2) return null;
  let length = bytes[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return null;
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return null;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  const end = at + 4 + length;
  if (bytes.length < end) return null;
  const mask = bytes.subarray(at, at + 4);
  const body = Buffer.from(bytes.subarray(at + 4, end).map((byte, index) => byte ^ mask[index % 4]));
  return { opcode: bytes[0] & 0xf, fin: bytes[0] >= 0x80, body, end };
}
