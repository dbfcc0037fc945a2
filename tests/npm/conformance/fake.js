// The test kit's fake server in place of the real ones: its `WebSocket` runs through the same cases, which reveals
// where it differs from a browser's.

import { FakeServer } from '/pkg/testing/index.js';

import { Bench } from './bench.js';

const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;

/**
 * Acts as the servers at these addresses.
 *
 * @param servers - as a bench takes them
 * @returns the class, and `Bench`, which uses these servers
 */
export function playServers(servers) {
  // Nothing listens there.
  const server = new FakeServer({ handshake: 'refuse' });
  const at =
    (address) =>
    ({ host, pathname }) =>
      host === new URL(address).host && pathname === '/';
  const echo = server.endpoint(`${servers.ws}/echo`, { onmessage: (message, connection) => connection.send(message) });
  server.endpoint(at(servers.silent), { handshake: 'stall' });
  server.endpoint(at(servers.raw), {
    handshake: answer,
    onmessage(message, connection) {
      const wanted = new URL(connection.url).searchParams;
      if (wanted.has('wait')) play(connection, wanted.get('frames'));
      if (wanted.has('echo') && connection.state === 'open') connection.send(message);
    },
    closing: (connection) => {
      if (!connection.url.includes('deaf')) connection.finishClose();
    },
  });

  class FakeBench extends Bench {
    cut(id, code, reason) {
      const connection = echo.connections.find(({ url, state }) => url.endsWith(id) && state === 'open');
      if (code === undefined) connection.cut();
      else connection.close(code, reason);
    }

    async settle() {
      await server.settled();
    }
  }
  return { Socket: server.WebSocket, Bench: FakeBench };
}

function answer(connection) {
  const wanted = new URL(connection.url).searchParams;
  const offered = connection.offeredProtocols;
  const selected = wanted.has('select') ? offered.slice(0, 1) : wanted.getAll('protocol');
  connection.open({ protocol: selected.join(', '), extensions: wanted.getAll('extension').join(', ') });
  if (connection.state !== 'open') return;
  if (wanted.has('mirror')) connection.send(JSON.stringify(offered));
  if (!wanted.has('wait')) play(connection, wanted.get('frames'));
  if (wanted.has('huge')) connection.send(new ArrayBuffer(Number(wanted.get('huge'))));
}

/** Applies frames as a browser would; a frame that the browser rejects fails the connection. */
function play(connection, hex) {
  const bytes = Uint8Array.from(hex?.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  const decode = (part) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part);
  let message = null;
  let at = 0;
  try {
    while (at < bytes.length && ['open', 'closing'].includes(connection.state)) {
      const [head, length] = bytes.subarray(at, at + 2);
      const [fin, reserved, opcode] = [head >= 0x80, head & 0x70, head & 0xf];
      if (reserved || length >= 0x80) throw new RangeError('reserved or masked');
      const body = bytes.subarray(at + 2, at + 2 + length);
      at += 2 + length;
      if (opcode >= CLOSE) {
        if (!fin || opcode > 0xa) throw new RangeError('control');
        if (opcode === CLOSE) close(connection, body, decode);
        continue;
      }
      if (opcode > BINARY || (opcode === 0) === (message === null)) throw new RangeError('kind');
      message = { kind: opcode || message.kind, parts: [...(message?.parts ?? []), ...body] };
      if (!fin) continue;
      const whole = Uint8Array.from(message.parts);
      connection.send(message.kind === TEXT ? decode(whole) : whole);
      message = null;
    }
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    connection.cut({ error: true });
  }
}

function close(connection, body, decode) {
  if (body.length === 1) throw new RangeError('half a code');
  if (body.length === 0) connection.close();
  else connection.close(body[0] * 256 + body[1], decode(body.subarray(2)));
}
