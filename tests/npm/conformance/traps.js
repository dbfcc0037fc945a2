// Mistakes seen in other reconnecting clients, as far as no other test covers them: README.md says which trap is tested
// where. Every case runs in a page, against a real server.

import { AT_ONCE, NEVER_AGAIN, equal, failing, ok, recorded, same } from '/face/harness.js';

function pause(millis) {
  return new Promise((resolve) => {
    setTimeout(resolve, millis);
  });
}

export const traps = {
  async 'close events have a number, a text and the truth for handlers and listeners alike, whoever ends the connection'(
    t,
  ) {
    const endings = {
      'a handshake that fails': () => t.socket(t.url('/nothing'), [], NEVER_AGAIN),
      'a handshake that takes too long': () =>
        t.socket(t.url('/echo'), [], {
          ...NEVER_AGAIN,
          connectTimeout: 20,
          WebSocket: class extends EventTarget {
            close() {}
          },
        }),
      'close() while connecting': () => {
        const socket = t.socket(t.url('/echo'));
        socket.close();
        return socket;
      },
      'close() while waiting': () => {
        const socket = t.socket(failing, [], NEVER_AGAIN);
        t.until(socket, 'waiting')
          .then(() => pause(0))
          .then(() => socket.close());
        return socket;
      },
      'reconnect() while open': () => {
        const { socket } = t.echo();
        socket.addEventListener('open', () => socket.reconnect(), { once: true });
        return socket;
      },
    };
    for (const [what, begin] of Object.entries(endings)) {
      const socket = begin();
      const seen = [];
      let handled = null;
      socket.onclose = (event) => {
        handled = event;
      };
      const event = await t.next(socket, 'close', (one) => {
        seen.push(one);
        return true;
      });
      equal(handled, event, `${what}: the event of the handler and of the listener`);
      ok(event instanceof CloseEvent, `${what}: a CloseEvent`);
      same([event.code, event.reason, event.wasClean], [1006, '', false], what);
      equal(event.target, socket, `${what}: target`);
      socket.close();
    }
  },

  async 'an attempt that fails tells error, then close with 1006, and shouldReconnect is asked with that'(t) {
    const asked = [];
    const socket = t.socket(t.url('/nothing'), [], {
      shouldReconnect(lost) {
        asked.push([lost.code, lost.wasClean, lost.wasOpen]);
        return false;
      },
    });
    const order = [];
    for (const type of ['error', 'close']) socket.addEventListener(type, () => order.push(type));
    await t.next(socket, 'close');
    same(order, ['error', 'close']);
    same(asked, [[1006, false, false]]);
  },

  async 'a send that throws in the middle of the queue loses and doubles nothing, and open is told'(t) {
    const made = [];
    let sends = 0;
    const { socket } = t.echo({
      WebSocket: recorded(made, {
        send(data) {
          sends += 1;
          if (sends === 3) throw new DOMException('on purpose', 'InvalidStateError');
          WebSocket.prototype.send.call(this, data);
        },
      }),
    });
    let opens = 0;
    socket.onopen = () => {
      opens += 1;
    };
    const sent = ['1', '2', '3', '4', '5'];
    const received = [];
    // The first two may be lost with their connection, which is reported; the others arrive.
    let unconfirmed = 0;
    socket.addEventListener('close', (event) => {
      unconfirmed += event.unconfirmedMessages;
    });
    const last = t.next(socket, 'message', ({ data }) => {
      received.push(data);
      return data === '5';
    });
    for (const message of sent) socket.send(message);
    await last;
    await t.settle();
    equal(made.length, 2, 'sockets');
    equal(opens, 2, 'open events');
    same(received.slice(-3), ['3', '4', '5'], 'what came after');
    same(received, [...new Set(received)], 'each at most once');
    ok(received.length + unconfirmed >= sent.length, `what is missing was reported: ${received}, ${unconfirmed}`);
    equal(sends, 6, 'calls of send');
  },

  async 'what was queued when it was closed is not sent by a later reconnect()'(t) {
    const { socket } = t.echo({ startClosed: true });
    const received = [];
    socket.addEventListener('message', ({ data }) => received.push(data));
    socket.reconnect();
    socket.send('of the old session');
    const closed = t.next(socket, 'close');
    socket.close();
    await closed;
    equal(socket.bufferedAmount, 0, 'bufferedAmount');
    socket.reconnect();
    await t.next(socket, 'open');
    const answered = t.next(socket, 'message', ({ data }) => data === 'of the new one');
    socket.send('of the new one');
    await answered;
    same(received, ['of the new one']);
  },

  async 'when no retry is left an event says so, and reconnect() works afterwards'(t) {
    let fails = true;
    const socket = t.socket(() => (fails ? failing() : t.url('/echo')), [], { ...AT_ONCE, maxRetries: 1 });
    const last = await t.next(socket, 'close', ({ willReconnect }) => !willReconnect);
    ok(last.explanation.includes('no retry'), last.explanation);
    equal(socket.readyState, 3, 'readyState');
    fails = false;
    socket.reconnect();
    equal(socket.readyState, 0, 'readyState after reconnect()');
    await t.next(socket, 'open');
  },

  async 'reconnect() does not wait for a socket that is half-open, nor does close()'(t) {
    const made = [];
    const { socket } = t.echo({ WebSocket: recorded(made), closeTimeout: 20 });
    await t.next(socket, 'open');
    const [first] = made;
    // When closed, it stays silent, as the browser's may for up to a minute.
    Object.defineProperty(first, 'close', { value() {} });
    const open = t.next(socket, 'open');
    socket.reconnect();
    equal(made.length, 2, 'sockets at once');
    await open;
    equal(first.readyState, 1, 'the browser calls the first one open');
    Object.defineProperty(made[1], 'close', { value() {} });
    const closed = t.next(socket, 'close');
    socket.close();
    const { code, cause } = await closed;
    same([code, cause, socket.readyState], [1006, 'close-timeout', 3]);
    for (const one of made) WebSocket.prototype.close.call(one);
  },

  async 'a dead connection that does not end is left at once, and its ping does not kill the next one'(t) {
    const made = [];
    const { socket } = t.echo({
      heartbeatInterval: 20,
      heartbeatGrace: 3_000,
      heartbeatMessage: 'ping',
      isHeartbeat: (data) => data === 'ping',
      WebSocket: recorded(made, {
        send(data) {
          if (this !== made[0]) WebSocket.prototype.send.call(this, data);
        },
        close(...given) {
          if (this !== made[0]) WebSocket.prototype.close.call(this, ...given);
        },
      }),
    });
    const lost = await t.next(socket, 'close');
    equal(lost.cause, 'heartbeat-timeout', 'cause');
    await t.next(socket, 'open');
    equal(made[0].readyState, 1, 'the browser calls the dead one open');
    // Longer than the grace period of an earlier ping.
    await pause(3_300);
    const { attempts, opens } = socket.snapshot();
    same([attempts, opens, socket.readyState], [2, 2, 1], 'attempts, opens and readyState');
    WebSocket.prototype.close.call(made[0]);
  },

  async 'an error and a close that comes much later are one loss, and make one socket'(t) {
    const made = [];
    class Late extends EventTarget {
      readyState = 0;
      bufferedAmount = 0;
      constructor() {
        super();
        made.push(this);
        if (made.length > 1) return;
        setTimeout(() => {
          this.readyState = 3;
          this.onerror?.(new Event('error'));
          setTimeout(() => this.onclose?.(new CloseEvent('close', { code: 1006 })), 50);
        });
      }

      close() {}
    }
    const socket = t.socket(t.url('/echo'), [], { ...AT_ONCE, WebSocket: Late });
    const closes = [];
    socket.addEventListener('close', ({ code }) => closes.push(code));
    await t.next(socket, 'close');
    await pause(200);
    equal(made.length, 2, 'sockets');
    same(closes, [1006], 'close events');
  },

  async 'waits are drawn after the cap: at the longest one, clients do not wait in step'(t) {
    const CLIENTS = 20;
    const waits = await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        const socket = t.socket(failing, [], { firstDelayMax: 0, minDelay: 0, baseDelay: 30_000, maxDelay: 30_000 });
        const { delay } = await t.next(socket, 'close', ({ delay: millis }) => millis > 0);
        socket.close();
        return delay;
      }),
    );
    ok(new Set(waits).size > CLIENTS / 2, `they differ: ${waits}`);
    ok(Math.max(...waits) <= 30_000, `none is over the cap: ${waits}`);
  },

  async 'a wait that reconnect() ended does nothing when its time would have come'(t) {
    let fails = true;
    const made = [];
    const socket = t.socket(() => (fails ? failing() : t.url('/echo')), [], {
      shouldReconnect: () => 200,
      WebSocket: recorded(made),
    });
    await t.until(socket, 'waiting');
    fails = false;
    socket.reconnect();
    await t.next(socket, 'open');
    await pause(500);
    equal(made.length, 1, 'sockets');
    same([socket.snapshot().opens, socket.readyState], [1, 1], 'opens and readyState');
  },

  async 'close() while connecting closes the socket of the browser at once'(t) {
    const made = [];
    let closes = 0;
    const socket = t.socket(t.url('/echo'), [], {
      WebSocket: recorded(made, {
        close(...given) {
          closes += 1;
          WebSocket.prototype.close.call(this, ...given);
        },
      }),
    });
    equal(made.length, 1, 'sockets that are made by the constructor');
    socket.close();
    equal(closes, 1, 'calls of close() when ours has returned');
    await t.next(socket, 'close');
  },

  async 'listeners that are added and removed inside a handler are so on the next connection, too'(t) {
    const { socket, id } = t.echo();
    const calls = [];
    const added = () => calls.push('added');
    const removed = () => calls.push('removed');
    socket.addEventListener('open', () => {
      socket.addEventListener('message', added);
      socket.removeEventListener('message', removed);
    });
    socket.addEventListener('message', removed);
    for (let connection = 0; connection < 2; connection += 1) {
      await t.until(socket, 'open');
      const received = t.messages(socket, 1);
      socket.send('x');
      await received;
      const lost = t.next(socket, 'close');
      await t.cut(id);
      await lost;
    }
    same(calls, ['added', 'added']);
  },

  async 'what the server closes with 1000 can be retried, and what it closes with another code can be left'(t) {
    for (const [code, verdict] of [
      [1000, true],
      [1011, false],
    ]) {
      const { socket, id } = t.echo({ shouldReconnect: () => verdict });
      await t.next(socket, 'open');
      const lost = t.next(socket, 'close');
      await t.cut(id, code);
      equal((await lost).willReconnect, verdict, `${code}`);
      socket.close();
    }
  },
};
