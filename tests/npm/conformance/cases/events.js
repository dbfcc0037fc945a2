// The events in the life of a connection, and their properties.

/** The properties that every event has, and those of its kind. */
function anatomy(event, socket) {
  const common = {
    class: event.constructor.name,
    tag: Object.prototype.toString.call(event),
    type: event.type,
    bubbles: event.bubbles,
    cancelable: event.cancelable,
    composed: event.composed,
    defaultPrevented: event.defaultPrevented,
    phase: event.eventPhase,
    target: event.target === socket,
    currentTarget: event.currentTarget === socket,
    srcElement: event.srcElement === socket,
    path: event.composedPath().length === 1 && event.composedPath()[0] === socket,
    time: typeof event.timeStamp,
  };
  const own =
    {
      CloseEvent: ['code', 'reason', 'wasClean'],
      MessageEvent: ['data', 'origin', 'lastEventId', 'source'],
    }[event.constructor.name] ?? [];
  for (const name of own) common[name] = event[name];
  if (event instanceof MessageEvent) {
    common.origin = event.origin === new URL(socket.url).origin;
    common.ports = [Array.isArray(event.ports), Object.isFrozen(event.ports), event.ports.length];
  }
  return common;
}

export const events = {
  title: 'Events',
  cases: {
    async 'open, messages and close, with the states in which they come'(t) {
      const socket = t.make(t.echoUrl());
      const log = t.log(socket);
      await t.next(socket, 'open');
      const received = t.messages(socket, 2);
      socket.send('one');
      socket.send('two');
      await received;
      const closed = t.next(socket, 'close');
      socket.close(3001, 'enough');
      log.push(`after close() in ${socket.readyState}`);
      await closed;
      await t.settle();
      t.note('events', log);
    },

    async 'a handshake that is refused'(t) {
      const socket = t.make(t.refusedUrl());
      const log = t.log(socket);
      await t.next(socket, 'close');
      await t.settle();
      t.note('events', log);
      t.note('attributes', [socket.readyState, socket.protocol, socket.extensions, socket.bufferedAmount]);
    },

    async 'a connection that the server cuts'(t) {
      const { socket, id } = await t.open();
      const log = t.log(socket);
      const closed = t.next(socket, 'close');
      await t.cut(id);
      await closed;
      await t.settle();
      t.note('events', log);
    },

    async 'a connection that the server closes, with a code and a reason'(t) {
      for (const [code, reason] of [
        [1000, ''],
        [1001, 'going'],
        [1011, 'é\u{1F600}'],
        [3000, 'x'.repeat(123)],
        [4999, '\0'],
      ]) {
        const { socket, id } = await t.open();
        const log = t.log(socket);
        const closed = t.next(socket, 'close');
        await t.cut(id, code, reason);
        await closed;
        await t.settle();
        t.note(`${code}`, log);
      }
    },

    async 'a connection that the server closes without a code, or against the protocol'(t) {
      const frames = {
        'no code': '8800',
        'one byte': '880103',
        'a code that is reserved': '880203ed',
        'a code that nobody may send': '880203e7',
        'a reason that is not UTF-8': '880403e8fffe',
        'a code over 4999': '88021388',
        'reserved bits': 'f100',
        'an unknown kind': '8300',
        'a masked frame': '818000000000',
        'text that is not UTF-8': '8102c328',
        'a ping in two frames': '0900',
        'a continuation of nothing': '8000',
      };
      for (const [what, bytes] of Object.entries(frames)) {
        const socket = t.make(t.rawUrl({ frames: bytes, wait: 1 }));
        await t.next(socket, 'open');
        const log = t.log(socket);
        const end = Promise.race([t.next(socket, 'close'), t.next(socket, 'message')]);
        socket.send('now');
        await end;
        // Their reason is in the browser's own words.
        t.note(
          what,
          log.map((line) => line.replace(/(close \d+) ".*?" /, '$1 ')),
        );
      }
    },

    async 'messages that arrive with the handshake response wait for open'(t) {
      const socket = t.make(t.rawUrl({ frames: '8101618101628800' }));
      const log = t.log(socket);
      await t.next(socket, 'close');
      t.note('events', log);
    },

    async 'microtasks run between the events'(t) {
      const socket = t.make(t.rawUrl({ frames: '810161810162' }));
      const log = [];
      for (const type of ['open', 'message', 'close']) {
        for (const name of ['first', 'second']) {
          socket.addEventListener(type, () => {
            log.push(`${type} ${name}`);
            queueMicrotask(() => log.push(`microtask of ${type} ${name}`));
          });
        }
      }
      await t.messages(socket, 2);
      const closed = t.next(socket, 'close');
      socket.close();
      await closed;
      await t.settle();
      t.note('order', log);
    },

    async 'microtasks run between error and close'(t) {
      const socket = t.make(t.refusedUrl());
      const log = [];
      socket.onerror = () => queueMicrotask(() => log.push('microtask of error'));
      socket.onclose = () => log.push('close');
      await t.next(socket, 'close');
      t.note('order', log);
    },

    async 'what the only handler sees of a message, and what becomes of it'(t) {
      const { socket } = await t.open();
      const event = await new Promise((resolve) => {
        socket.onmessage = (message) => {
          t.note('in the handler', anatomy(message, socket));
          resolve(message);
        };
        socket.send('text');
      });
      await t.settle();
      const { target, currentTarget, eventPhase, data } = event;
      t.note('afterwards', [
        target === socket,
        currentTarget,
        eventPhase,
        event.composedPath().length,
        data,
        event instanceof MessageEvent,
      ]);
      const copy = new event.constructor(event.type, event);
      t.note('copied', [
        copy.constructor === MessageEvent,
        copy.data,
        copy.origin === event.origin,
        copy.lastEventId,
        copy.source,
        copy.ports.length,
      ]);
      const attributes = [];
      for (const name in event) attributes.push(name);
      t.note('attributes', attributes.sort());
      const other = new EventTarget();
      other.addEventListener('message', (again) => {
        t.note('dispatched again', [
          again === event,
          again.target === other,
          again.currentTarget === other,
          again.eventPhase,
          again.composedPath()[0] === other,
        ]);
      });
      other.dispatchEvent(event);
      t.note('then', [event.target === other, event.currentTarget, event.eventPhase]);
    },

    async 'a handler of messages that throws, beside and without a listener'(t) {
      const { socket } = await t.open();
      const calls = [];
      const handled = new Promise((resolve) => {
        socket.onmessage = () => {
          calls.push('handler');
          resolve();
          throw new TypeError('on purpose');
        };
      });
      socket.send('one');
      await handled;
      await t.settle();
      const heard = t.next(socket, 'message');
      socket.addEventListener('message', () => calls.push('listener'));
      socket.send('two');
      await heard;
      await t.settle();
      t.note('calls', calls);
      t.note('uncaught', t.takeUncaught());
    },

    async 'what the events are'(t) {
      const { socket } = await t.open();
      for (const type of ['message', 'close']) {
        const seen = new Promise((resolve) => {
          socket.addEventListener(type, (event) => resolve(anatomy(event, socket)), { once: true });
        });
        if (type === 'message') socket.send('text');
        else socket.close(3000, 'bye');
        t.note(type, await seen);
      }
      const other = t.make(t.echoUrl());
      t.note(
        'open',
        await new Promise((resolve) => {
          other.onopen = (event) => resolve(anatomy(event, other));
        }),
      );
      const refused = t.make(t.refusedUrl());
      const end = t.next(refused, 'close');
      t.note(
        'error',
        await new Promise((resolve) => {
          refused.onerror = (event) => resolve(anatomy(event, refused));
        }),
      );
      await end;
    },

    async 'events that a browser dispatches are trusted'(t) {
      const socket = t.make(t.echoUrl());
      for (const type of ['open', 'message', 'close']) {
        const event = t.next(socket, type);
        if (type === 'message') socket.send('x');
        if (type === 'close') socket.close();
        t.note(type, (await event).isTrusted);
      }
      const refused = t.make(t.refusedUrl());
      const end = t.next(refused, 'close');
      t.note('error', (await t.next(refused, 'error')).isTrusted);
      await end;
    },

    async 'an event of the program reaches handlers, and changes nothing'(t) {
      const { socket } = await t.open();
      const log = t.log(socket);
      socket.dispatchEvent(new CloseEvent('close', { code: 4000, reason: 'not really' }));
      socket.dispatchEvent(new MessageEvent('message', { data: 'made' }));
      t.note('events', log);
      t.note('readyState', socket.readyState);
      const received = t.messages(socket, 1);
      socket.send('real');
      t.note('received', await received);
    },

    async 'url, protocol and extensions over the life of a connection'(t) {
      const look = (socket) => [socket.url, socket.protocol, socket.extensions].map((text) => text.replace(/:\d+/, ''));
      const socket = t.make(t.rawUrl({ protocol: 'two' }), ['one', 'two']);
      t.note('connecting', look(socket));
      await t.next(socket, 'open');
      t.note('open', look(socket));
      const closed = t.next(socket, 'close');
      socket.close();
      t.note('closing', look(socket));
      await closed;
      t.note('closed', look(socket));
    },

    async 'the sub-protocol that the server selects'(t) {
      const answers = {
        'one of them': [{ protocol: 'two' }, ['one', 'two']],
        'none of them': [{}, ['one', 'two']],
        'one that was not offered': [{ protocol: 'three' }, ['one', 'two']],
        'one in other letters': [{ protocol: 'ONE' }, ['one']],
        'one where none was offered': [{ protocol: 'one' }, []],
        'an empty one': [{ protocol: '' }, ['one']],
      };
      for (const [what, [query, protocols]] of Object.entries(answers)) {
        const socket = t.make(t.rawUrl(query), protocols);
        const end = await Promise.race([t.next(socket, 'open'), t.next(socket, 'close')]);
        t.note(what, [end.type, socket.protocol]);
      }
    },

    async 'an extension that was not offered fails the handshake'(t) {
      const socket = t.make(t.rawUrl({ extension: 'x-unknown' }));
      const log = t.log(socket);
      await t.next(socket, 'close');
      t.note('events', log);
    },

    async 'an extension that the server accepts is reported'(t) {
      const socket = t.make(t.rawUrl({ extension: 'permessage-deflate' }));
      await t.next(socket, 'open');
      t.note('extensions', socket.extensions);
    },
  },
};
