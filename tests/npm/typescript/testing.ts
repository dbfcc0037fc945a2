// A program that uses every declaration of the test kit; it is compiled, and not run.

import { ReconnectingWebSocket, TypedSocket, json } from 'steady-socket';
import {
  FakePage,
  FakeServer,
  SessionServer,
  fakeTime,
  setChance,
  type AskEnd,
  type ClientRequest,
  type Closing,
  type DeliveryEnd,
  type FakeConnection,
  type FakeEndpoint,
  type FakeTime,
  type Handshake,
  type LostReason,
  type Restorable,
  type SessionServerOptions,
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

// --- Sessions

async function play(): Promise<void> {
  const sessions: SessionServer<Greeting, Hello> = SessionServer.start<Greeting, Hello>(server, {
    codec: json,
    window: 60_000,
    messages: 10,
    bytes: 1_000,
    messageBytes: 100,
    requests: 1,
  });
  const ofAll: SessionServer = SessionServer.start(raw.endpoint('/session'));
  const options: SessionServerOptions = {};
  const said: Hello[] = sessions.received;
  const anything: any = (await ofAll.receive({ timeout: 10 })).whatever;
  await sessions.expect({ type: 'hello', name: 'Ada' });
  await sessions.expect(({ name }) => name === 'Ada');
  const sent: number = sessions.send({ type: 'greeting', text: 'Hello' });
  // @ts-expect-error: a message of the other end
  sessions.send({ type: 'hello', name: 'Ada' });
  const end: DeliveryEnd | undefined = sessions.ends.find(({ delivery }) => delivery === sent);
  if (end?.end === 'not-handled') console.log(end.reason?.length);
  const asked: number = sessions.ask({ type: 'greeting', text: 'Who are you?' });
  const answer: AskEnd<Hello> | undefined = sessions.answers[0];
  if (answer?.end === 'response') console.log(answer.response?.name);
  sessions.cancel(asked);
  const { token, request }: ClientRequest<Hello> = await sessions.nextRequest();
  sessions.answer(token, { response: { type: 'greeting', text: request.name } });
  sessions.answer(token, { refused: 'limit' });
  // @ts-expect-error: no such refusal
  sessions.answer(token, { refused: 'bored' });
  sessions.hold(true);
  sessions.refuse(false);
  sessions.refuseWith(1013);
  sessions.forget();
  sessions.end();
  sessions.lose();
  const why: LostReason = 'expired';
  sessions.loseBecause(why);
  const credentials: (string | null)[] = sessions.credentials;
  const state: [boolean, string | null] = [sessions.hasSession, sessions.ended];
  console.log(options, said, anything, credentials, state);
  // @ts-expect-error: start() makes them
  new SessionServer();
}
void play;
