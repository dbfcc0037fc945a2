// In a page or a worker: numbered messages through a session with an endpoint that sends each back, so that what comes back
// is what the server had, and in which order. It writes what it had.

import { ReconnectingWebSocket, TypedSocket } from '/pkg/session/index.js';
import { msgpack } from '/pkg/typed/msgpack.js';

/** Back within 50 ms of a loss. */
const AT_ONCE = { firstDelayMax: 10, minDelay: 0, baseDelay: 20, maxDelay: 40, attemptInterval: 0 };

/** How many messages may be on their way, so that a cut finds some in both directions. */
const ON_THE_WAY = 60;

const PADDING = '.'.repeat(30);

/** How a number is sent, and read. */
const CODECS = {
  json: { protocols: ['echo.json'], typed: true, write: (n) => ({ n, p: PADDING }), read: ({ n }) => n },
  msgpack: {
    protocols: ['echo.msgpack'],
    codec: msgpack,
    typed: true,
    write: (n) => ({ n, p: PADDING }),
    read: ({ n }) => n,
  },
  text: { write: (n) => `~${n} ${PADDING}`, read: (text) => Number(text.slice(1).split(' ')[0]) },
  bytes: {
    write: (n) => new Uint8Array(Uint32Array.of(0xc1c1c1c1, n, ...Array(10).fill(n)).buffer),
    read: (buffer) => new Uint32Array(buffer)[1],
  },
};

/** The beginning of a frame, bytes as characters. */
function headOf(data) {
  return typeof data === 'string' ? data.slice(0, 400) : String.fromCharCode(...new Uint8Array(data).subarray(0, 400));
}

function field(head, name) {
  return Number(new RegExp(` ${name}=(\\d+)`).exec(head)?.[1] ?? 0);
}

/** What happens in the session `run` has begun. */
let state = null;

/** What has happened to the page, and when a timer has fired. */
const marks = [];
const ticks = [];
addEventListener('pageshow', ({ type, persisted }) => marks.push({ type, persisted }));

/** Listens behind the session, which has begun to listen when it was opened, and notes what has gone out by then. */
function noteHiding(now) {
  globalThis.document?.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') marks.push({ type: 'hidden', frames: [...now.frames] });
  });
  addEventListener('pagehide', () => globalThis.sessionStorage?.setItem('left', JSON.stringify(now.frames)));
}

/** The session's acknowledgements are due within a second: those timers never fire. */
function holdTimers() {
  const { setTimeout: start } = globalThis;
  globalThis.setTimeout = (fire, millis, ...rest) =>
    start(fire, millis > 100 && millis <= 1_000 ? 2 ** 31 - 1 : millis, ...rest);
}

function begin({ url, codec: name, count, requestEvery = 100, holdsTimers = false }) {
  if (holdsTimers) holdTimers();
  const { typed = false, write, read, ...options } = CODECS[name];
  const now = {
    wanted: count,
    sent: 0,
    got: 0,
    /** The first messages that came out of order, twice or not at all. */
    wrong: [],
    requests: 0,
    answered: 0,
    /** The requests that ended otherwise than with the right response. */
    refused: [],
    delivers: 0,
    delivered: 0,
    /** The last frames that were sent, as far as they are text. */
    frames: [],
    connections: 0,
    /** Resumes with something to replay, in each direction. */
    replayedUp: 0,
    replayedDown: 0,
    resumed: 0,
    lost: [],
    undelivered: [],
    dropped: 0,
    problems: [],
    events: [],
  };
  class Counting extends WebSocket {
    constructor(...given) {
      super(...given);
      now.connections += 1;
      let sent = 0;
      this.addEventListener('message', ({ data }) => {
        const head = headOf(data);
        if (!head.includes('welcome outcome=')) return;
        // Messages follow that the other end does not have: the server's, and this one's.
        if (/ outcome=replayed /.test(head)) now.replayedDown += 1;
        if (/ outcome=(continued|replayed) /.test(head) && field(head, 'received') < sent) now.replayedUp += 1;
      });
      this.send = (data) => {
        const head = headOf(data);
        if (head.slice(1).startsWith('hello ') || head.slice(1).startsWith(' hello ')) sent = field(head, 'sent');
        now.frames.push(head);
        now.frames.splice(0, now.frames.length - 20);
        super.send(data);
      };
    }
  }
  const all = { session: { messages: 1_000 }, WebSocket: Counting, ...AT_ONCE, ...options };
  const socket = typed ? new TypedSocket(url, all) : new ReconnectingWebSocket(url, [], all);
  if (!typed) socket.binaryType = 'arraybuffer';
  let wake = () => {};
  const expected = new Map();
  socket.addEventListener('message', ({ data }) => {
    const number = read(data);
    if (number !== (expected.get('next') ?? 0) && now.wrong.length < 10)
      now.wrong.push([expected.get('next') ?? 0, number]);
    expected.set('next', number + 1);
    now.got += 1;
    wake();
  });
  socket.addEventListener('resumed', () => {
    now.resumed += 1;
  });
  socket.addEventListener('sessionlost', ({ reason, handled, notHandled, unknown }) => {
    const numbers = (messages) => messages.map((message) => read(message));
    now.lost.push({ reason, handled, notHandled: numbers(notHandled), unknown: numbers(unknown) });
  });
  socket.addEventListener('sessionend', ({ reason }) => now.events.push(`end: ${reason}`));
  socket.addEventListener('undelivered', ({ message }) => now.undelivered.push(read(message)));
  socket.addEventListener('dropped', ({ messages, omitted }) => {
    now.dropped += messages.length + omitted;
  });
  socket.addEventListener('invalid', ({ error }) => now.problems.push(error.message));
  const change = () =>
    new Promise((resolve) => {
      wake = resolve;
      // A replay may be a while away.
      setTimeout(resolve, 20);
    });
  const work = async () => {
    while (now.sent < now.wanted) {
      while (now.sent - now.got < ON_THE_WAY && now.sent < now.wanted) {
        const number = now.sent;
        now.sent += 1;
        if (number % 10 === 5) {
          now.delivers += 1;
          socket.deliver(write(number)).then(
            () => {
              now.delivered += 1;
            },
            ({ name: what }) => now.refused.push(`deliver ${number}: ${what}`),
          );
        } else {
          socket.send(write(number));
        }
        if (number % requestEvery === 0) {
          now.requests += 1;
          socket.request(write(number)).then(
            (answer) => {
              if (read(answer) === number) now.answered += 1;
              else now.refused.push(`request ${number}: ${read(answer)}`);
            },
            ({ name: what }) => now.refused.push(`request ${number}: ${what}`),
          );
        }
        if (number % 10 === 0) break;
      }
      await change();
    }
  };
  const start = () => {
    work().catch((error) => now.problems.push(String(error)));
  };
  start();
  state = { now, socket, start };
  socket.addEventListener('open', () => noteHiding(now), { once: true });
}

/** What one client of a room has said and heard. */
let room = null;

function join({ url, name, count, lastWords = 0 }) {
  const now = { record: [], handled: 0, refused: [], problems: [], resumed: 0, frames: [] };
  class Noting extends WebSocket {
    constructor(...given) {
      super(...given);
      this.send = (data) => {
        if (lastWords > 0) now.frames.push(headOf(data));
        super.send(data);
      };
    }
  }
  const socket = new TypedSocket(url, { protocols: ['room.json'], session: true, WebSocket: Noting, ...AT_ONCE });
  let [said, wanted] = [0, 0];
  const heard = () => now.record.filter(([from]) => from === name).length;
  const sayOne = () => {
    const number = said;
    said += 1;
    socket.deliver({ from: name, number }).then(
      () => {
        now.handled += 1;
      },
      ({ message }) => now.refused.push(message),
    );
  };
  const work = () => {
    for (let own = heard(); said < wanted && said - own < ON_THE_WAY; sayOne());
  };
  const say = (more) => {
    wanted += more;
    work();
  };
  socket.addEventListener('message', ({ data: { from, number } }) => {
    now.record.push([from, number]);
    if (from === name) work();
  });
  socket.addEventListener('resumed', () => {
    now.resumed += 1;
  });
  for (const type of ['sessionlost', 'sessionend', 'undelivered', 'dropped', 'invalid']) {
    socket.addEventListener(type, ({ reason }) => now.problems.push(`${type}: ${reason}`));
  }
  addEventListener('pagehide', () => {
    for (let left = lastWords; left > 0; left -= 1) sayOne();
  });
  if (lastWords > 0) noteHiding(now);
  say(count);
  room = { now, socket, say };
}

const commands = {
  begin,
  more: (count) => {
    const isIdle = state.now.sent === state.now.wanted;
    state.now.wanted += count;
    if (isIdle) state.start();
  },
  now: () => ({ ...state.now, state: state.socket.state, snapshot: { ...state.socket.snapshot() } }),
  close: () => state.socket.close(),
  marks: () => marks,
  ticks: () => ticks,
  tick: (millis) => {
    const tick = () => {
      ticks.push(Date.now());
      setTimeout(tick, millis);
    };
    tick();
  },
  join,
  say: (count) => room.say(count),
  record: () => ({ ...room.now, state: room.socket.state }),
};

const isWorker = typeof document === 'undefined';

if (isWorker) {
  addEventListener('message', ({ data: [name, argument] }) => postMessage(commands[name](argument)));
} else {
  let worker = null;
  const inWorker = (name, argument) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(`the worker failed: ${message}`));
      worker.postMessage([name, argument]);
    });
  globalThis.sessions = {
    async do([name, argument]) {
      if (name === 'begin' && argument.inWorker) worker = new Worker('/faults/session.js', { type: 'module' });
      return worker ? inWorker(name, argument) : commands[name](argument);
    },
  };
}
