// A program that uses every declaration of the test kit; it is compiled, and not run.

import { ReconnectingWebSocket, TypedSocket, json } from 'steady-socket';
import {
  FakePage,
  FakeServer,
  fakeTime,
  setChance,
  type Closing,
  type FakeConnection,
  type FakeEndpoint,
  type FakeTime,
  type Handshake,
  type Restorable,
} from 'steady-socket/testing';

interface Greeting {
  type: 'greeting';
  text: string;
}
interface Hello {
  type: 'hello';
  name: string;
}

const server = new FakeServer<Greeting, Hello>({
  codec: json,
  handshake: 'stall',
  closing: (connection) => connection.finishClose(1000),
  onmessage: ({ name }, connection) => connection.send({ type: 'greeting', text: `Hello ${name}!` }),
  protocols: ['chat'],
  closeLimit: Infinity,
});
const raw: FakeServer = FakeServer.install();
const same: FakeServer<Greeting, Hello> = server.install();
const handshake: Handshake = 'open';
const closing: Closing = 'stall';
raw.handshake = handshake;
raw.closing = closing;
raw.onmessage = null;
raw.codec = null;
raw.protocols = null;
// @ts-expect-error there is no such handshake
raw.handshake = 'accept';

new ReconnectingWebSocket('/chat', [], { WebSocket: server.WebSocket });
new TypedSocket('/chat', { WebSocket: raw.WebSocket });
const browserLike: WebSocket = new server.WebSocket('ws://example.test/', ['chat']);

const endpoint: FakeEndpoint<string, string> = server.endpoint<string, string>(/chat/, {
  handshake: (connection) => {
    connection.open({ protocol: 'chat' });
  },
});
server.endpoint('/path');
server.endpoint(new URL('ws://example.test/'));
server.endpoint(({ pathname }) => pathname.startsWith('/x'));

async function use(connection: FakeConnection<Greeting, Hello>): Promise<void> {
  const { url, offeredProtocols, protocol, state, socket, bufferedAmount, received, closedWith, end } = connection;
  const seen: [
    string,
    string[],
    string,
    string,
    WebSocket,
    number,
    Hello[],
    number | undefined,
    string | undefined,
    boolean | undefined,
  ] = [
    url,
    offeredProtocols,
    protocol,
    state,
    socket,
    bufferedAmount,
    received,
    closedWith?.code,
    closedWith?.reason,
    end?.wasClean,
  ];
  connection.open({ extensions: 'permessage-deflate' }).send({ type: 'greeting', text: 'hi' });
  // @ts-expect-error not what the server sends
  connection.send({ type: 'hello', name: 'Ada' });
  const { name } = await connection.receive({ timeout: Infinity });
  await connection.expect({ type: 'hello', name });
  await connection.expect(/x/);
  await connection.expect((message) => message.name === 'Ada', { timeout: 10 });
  await connection.expectClose(1000, 'bye', { timeout: 10 });
  connection.hold();
  connection.drain(5);
  connection.halfOpen();
  connection.resume();
  connection.close(1012, 'restart', { slow: true });
  connection.finishClose();
  connection.cut({ error: true });
  connection.refuse();
  void seen;
}

async function rest(): Promise<void> {
  await use(await server.nextConnection({ timeout: 100 }));
  const last: FakeConnection<string, string> | undefined = endpoint.last;
  const time: FakeTime = fakeTime({ now: new Date(0), tick: (milliseconds) => void milliseconds });
  await time.advance(5_000);
  time.sleep(1_000);
  const pending: number | undefined = time.pending;
  const chance: Restorable = setChance([0, 1]);
  const page = new FakePage();
  for (const act of ['offline', 'online', 'hide', 'show', 'freeze', 'resume', 'leave', 'comeBack'] as const)
    page[act]();
  await server.settled();
  server.assertIdle({ timers: false });
  for (const one of [same, time, chance, page]) one.restore();
  void [last, pending, browserLike, endpoint.connections.length];
}
void rest;

// A codec for anything leaves the messages open to be looked into.
const ofAnything = FakeServer.install({
  codec: json,
  onmessage: (message, connection) => connection.send({ echo: message.text }),
});
ofAnything.nextConnection().then(async (connection) => {
  const { text } = await connection.receive();
  const first: string = connection.received[0].text;
  connection.send({ anything: [text, first] });
  await connection.expect((message) => message.text === 'x');
});
const made = new FakeServer({ codec: json });
const said: string = made.last?.received[0].text;
// That of a codec with types is known.
const ofDates = FakeServer.install({
  codec: { encode: (date: Date) => date.toISOString(), decode: (data) => new URL(String(data)) },
});
const host: string | undefined = ofDates.last?.received[0]?.host;
// @ts-expect-error: a URL has no such field
ofDates.last?.received[0]?.hostt;
// @ts-expect-error: it sends dates
ofDates.last?.send('today');
void [said, host];
