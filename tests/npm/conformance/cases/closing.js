// close(): its arguments, and what it does in each state.

import { outcome } from '../bench.js';

// biome-ignore format: a table.
const CODES = [
  0, 1, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1015, 1016, 2999, 3000, 4999, 5000, 65535, 65536, 66536, -1, -64536,
  NaN, Infinity, -Infinity, 999.5, 999.4, 1000.5, 1000.6, 2999.5, 2999.4, 4999.4, 4999.5, '3000', '0xbb8', ' 1000 ', 'x', '', null, true,
  [], [3000], {}, { valueOf: () => 3000 },
];

function named(value) {
  return typeof value === 'object'
    ? `${JSON.stringify(value)} (${value === null ? 'null' : +value})`
    : `${JSON.stringify(value) ?? value} (${value})`;
}

/**
 * Tries each value on a connecting socket: `[value, result, readyState]`. A socket that refused a value stays as it is,
 * for the next one.
 */
function* tried(t, values, act) {
  let socket = t.make(t.silentUrl());
  for (const value of values) {
    const result = outcome(() => act(socket, value));
    yield [value, result, socket.readyState];
    if (socket.readyState !== 0) socket = t.make(t.silentUrl());
  }
  // While one socket is connecting, Firefox opens no other connection to the same host.
  socket.close();
}

/** Closes an open connection; returns the result. */
async function closed(t, ...given) {
  const { socket } = await t.open();
  const end = t.next(socket, 'close');
  socket.close(...given);
  const { code, reason, wasClean } = await end;
  return [code, reason, wasClean];
}

export const closing = {
  title: 'close()',
  cases: {
    async 'codes: what is taken, and what is thrown'(t) {
      for (const [code, result, readyState] of tried(t, CODES, (socket, value) => socket.close(value))) {
        t.note(named(code), [result, readyState]);
      }
    },

    async 'codes and reasons that cannot be converted'(t) {
      const { socket } = await t.open();
      t.attempt('a BigInt', () => socket.close(3000n));
      t.attempt('a symbol', () => socket.close(Symbol('x')));
      t.attempt('a code that throws', () =>
        socket.close({
          valueOf() {
            throw new RangeError('mine');
          },
        }),
      );
      t.attempt('a reason that throws', () =>
        socket.close(1000, {
          toString() {
            throw new RangeError('mine');
          },
        }),
      );
      t.attempt('a reason that is a symbol', () => socket.close(1000, Symbol('x')));
      t.note('readyState', socket.readyState);
    },

    async 'a code and a reason are converted in their order, and then judged'(t) {
      const { socket } = await t.open();
      const calls = [];
      const code = {
        valueOf() {
          calls.push('code');
          return 7;
        },
      };
      const reason = {
        toString() {
          calls.push('reason');
          return 'x'.repeat(124);
        },
      };
      t.attempt('both bad', () => socket.close(code, reason));
      t.note('conversions', calls);
    },

    async 'a code is rounded, and the reason comes back'(t) {
      t.note('no code', await closed(t));
      t.note('undefined', await closed(t, undefined));
      t.note('1000', await closed(t, 1000));
      t.note('3000.5', await closed(t, 3000.5));
      t.note('3001.5', await closed(t, 3001.5));
      t.note('"4000"', await closed(t, '4000', 'text'));
      t.note('undefined reason', await closed(t, 4000, undefined));
      t.note('null as reason', await closed(t, 4000, null));
      t.note('number as reason', await closed(t, 4000, 7));
      t.note('lone surrogates', await closed(t, 4000, 'a\ud800b\udc00'));
      t.note('a pair', await closed(t, 4000, '\u{1F600}'));
      t.note('NUL', await closed(t, 4000, 'a\0b'));
    },

    async 'a reason without a code'(t) {
      const { socket } = await t.open();
      t.attempt('undefined and a reason', () => socket.close(undefined, 'reason'));
      t.note('readyState', socket.readyState);
      t.attempt('undefined and an empty reason', () => t.make(t.silentUrl()).close(undefined, ''));
      t.attempt('undefined and a reason that is too long', () =>
        t.make(t.silentUrl()).close(undefined, 'x'.repeat(124)),
      );
    },

    async 'a reason has at most 123 bytes of UTF-8'(t) {
      const reasons = {
        '123 letters': 'x'.repeat(123),
        '124 letters': 'x'.repeat(124),
        '41 signs of 3 bytes': '€'.repeat(41),
        '42 signs of 3 bytes': '€'.repeat(42),
        '30 signs of 4 bytes': '\u{1F600}'.repeat(30),
        '31 signs of 4 bytes': '\u{1F600}'.repeat(31),
        '41 lone surrogates': '\ud800'.repeat(41),
        '42 lone surrogates': '\ud800'.repeat(42),
      };
      for (const [what, result, readyState] of tried(t, Object.keys(reasons), (socket, what) =>
        socket.close(1000, reasons[what]),
      )) {
        t.note(what, [result, readyState]);
      }
      t.note('all of it arrives', (await closed(t, 4000, '€'.repeat(41)))[1] === '€'.repeat(41));
    },

    async 'arguments are judged in every state'(t) {
      const { socket } = await t.open();
      const end = t.next(socket, 'close');
      socket.close();
      t.attempt('closing', () => socket.close(1));
      await end;
      t.attempt('closed', () => socket.close(1));
      t.attempt('closed, reason', () => socket.close(1000, 'x'.repeat(124)));
    },

    async 'while connecting: error, then close with 1006'(t) {
      for (const given of [[], [3000, 'why']]) {
        const socket = t.make(t.silentUrl());
        const log = t.log(socket);
        const end = t.next(socket, 'close');
        t.note(`readyState before, ${given}`, socket.readyState);
        socket.close(...given);
        t.note(`readyState after, ${given}`, socket.readyState);
        t.note(`events at once, ${given}`, [...log]);
        await end;
        await t.settle();
        t.note(`events, ${given}`, log);
      }
    },

    async 'right after construction'(t) {
      // Unanswered: Firefox reports 1005 if the handshake was over before the page learned of it.
      const socket = t.make(t.silentUrl());
      const log = t.log(socket);
      socket.close();
      await t.next(socket, 'close');
      await t.settle();
      t.note('events', log);
    },

    async 'twice, and when it is over: only the first counts'(t) {
      const { socket } = await t.open();
      const log = t.log(socket);
      const end = t.next(socket, 'close');
      socket.close(3000, 'first');
      socket.close(4000, 'second');
      t.note('readyState', socket.readyState);
      await end;
      socket.close();
      t.note('readyState when closed', socket.readyState);
      await t.settle();
      t.note('events', log);
    },

    async 'in the open handler'(t) {
      const socket = t.make(t.echoUrl());
      const log = t.log(socket);
      socket.onopen = () => {
        socket.close(3000, 'in open');
        log.push(`in ${socket.readyState} after close()`);
      };
      await t.next(socket, 'close');
      await t.settle();
      t.note('events', log);
    },

    async 'in the message handler: what comes later is not delivered'(t) {
      const { socket } = await t.open();
      const log = t.log(socket);
      socket.onmessage = () => socket.close(3000, 'in message');
      const end = t.next(socket, 'close');
      socket.send('1');
      await end;
      await t.settle();
      t.note('events', log);
    },

    async 'in the message handler, with more messages at hand'(t) {
      const socket = t.make(t.rawUrl({ frames: '810131810132810133' }));
      const log = t.log(socket);
      socket.onmessage = () => socket.close(3000, 'in message');
      await t.next(socket, 'close');
      await t.settle();
      t.note('events', log);
    },

    async 'in the error handler and in the close handler'(t) {
      const socket = t.make(t.refusedUrl());
      const log = t.log(socket);
      socket.onerror = () => socket.close(3000, 'in error');
      socket.onclose = () => socket.close(4000, 'in close');
      await t.next(socket, 'close');
      await t.settle();
      t.note('events', log);
    },

    async 'while the server closes'(t) {
      const { socket, id } = await t.open();
      const log = t.log(socket);
      const end = t.next(socket, 'close');
      socket.onclose = () => socket.close(4000, 'mine');
      await t.cut(id, 3000, 'theirs');
      await end;
      await t.settle();
      t.note('events', log);
    },

    async 'messages sent before close() arrive before the end'(t) {
      const { socket } = await t.open();
      const log = t.log(socket);
      const end = t.next(socket, 'close');
      for (const text of ['a', 'b', 'c']) socket.send(text);
      socket.close(3000, 'done');
      t.note('readyState', socket.readyState);
      await end;
      t.note('close', log.at(-1));
    },

    async 'what can be done afterwards'(t) {
      const { socket } = await t.open();
      const end = t.next(socket, 'close');
      socket.close();
      t.attempt('send', () => socket.send('late'));
      t.note('bufferedAmount', socket.bufferedAmount);
      t.note('attributes', [socket.readyState, socket.binaryType, socket.protocol]);
      await end;
      t.attempt('send when closed', () => socket.send('later'));
      t.note('bufferedAmount when closed', socket.bufferedAmount);
      t.note('attributes when closed', [socket.readyState, socket.binaryType, socket.protocol]);
    },
  },
};
