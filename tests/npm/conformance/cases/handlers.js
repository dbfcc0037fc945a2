// The attributes on…, alongside listeners.

const NAMES = ['onopen', 'onmessage', 'onerror', 'onclose'];

/** Dispatches an event made by the case: handlers need no connection. */
function fire(socket, type, init) {
  return socket.dispatchEvent(new Event(type, init));
}

export const handlers = {
  title: 'Handlers and listeners',
  cases: {
    async 'an attribute accepts functions and objects, and becomes null for anything else'(t) {
      const socket = t.make(t.echoUrl());
      const values = {
        'a function': () => {},
        'an object': {},
        'an array': [],
        null: null,
        undefined,
        'a number': 7,
        'a string': 'x',
        true: true,
        'a symbol': Symbol('x'),
        'a BigInt': 7n,
        'a class': class {},
        'an object with handleEvent': { handleEvent() {} },
      };
      for (const name of NAMES) {
        for (const [what, value] of Object.entries(values)) {
          t.attempt(`${name}: ${what}`, () => {
            socket[name] = () => {};
            socket[name] = value;
            return socket[name] === value ? 'kept' : String(socket[name]);
          });
        }
      }
    },

    async 'objects that cannot be called are not called'(t) {
      const socket = t.make(t.echoUrl());
      const calls = [];
      socket.onmessage = {
        handleEvent() {
          calls.push('handleEvent of a handler');
        },
      };
      fire(socket, 'message');
      socket.addEventListener('message', {
        handleEvent() {
          calls.push('handleEvent of a listener');
        },
      });
      fire(socket, 'message');
      t.note('calls', calls);
    },

    async 'a handler is called with the event, and the socket as this'(t) {
      const socket = t.make(t.echoUrl());
      for (const name of NAMES) {
        socket[name] = function handler(...given) {
          t.note(name, [
            this === socket,
            given.length,
            given[0].type,
            given[0].target === socket,
            given[0].currentTarget === socket,
            given[0].eventPhase,
          ]);
        };
        fire(socket, name.slice(2));
        socket[name] = null;
      }
    },

    async 'a listener that is added by the method of EventTarget is called beside a handler'(t) {
      const { socket } = await t.open();
      const heard = [];
      const message = new Promise((resolve) => {
        socket.onmessage = () => {
          heard.push('onmessage');
          resolve();
        };
      });
      // Bypasses the class's own method.
      EventTarget.prototype.addEventListener.call(socket, 'message', () => heard.push('listener'));
      socket.send('one');
      await message;
      await t.settle();
      t.note('heard', heard);
    },

    async 'a handler has its place among the listeners'(t) {
      const socket = t.make(t.echoUrl());
      const calls = [];
      const listen = (name) => socket.addEventListener('message', () => calls.push(name));
      listen('1');
      socket.onmessage = () => calls.push('replaced');
      listen('2');
      socket.onmessage = () => calls.push('handler');
      listen('3');
      fire(socket, 'message');
      t.note('first', calls.splice(0));
      socket.onmessage = null;
      fire(socket, 'message');
      t.note('without it', calls.splice(0));
      socket.onmessage = () => calls.push('again');
      fire(socket, 'message');
      t.note('set anew', calls.splice(0));
      socket.onmessage = 7;
      socket.onmessage = {};
      socket.onmessage = () => calls.push('after an object');
      listen('4');
      fire(socket, 'message');
      t.note('after an object', calls.splice(0));
    },

    async 'a handler and a listener can be the same function'(t) {
      const socket = t.make(t.echoUrl());
      let calls = 0;
      const both = () => {
        calls += 1;
      };
      socket.onmessage = both;
      socket.addEventListener('message', both);
      socket.addEventListener('message', both);
      fire(socket, 'message');
      t.note('calls', calls);
      socket.removeEventListener('message', both);
      fire(socket, 'message');
      t.note('calls after the removal of the listener', calls);
    },

    async 'what a handler returns prevents what can be prevented'(t) {
      const socket = t.make(t.echoUrl());
      for (const value of [false, true, undefined, 0, '']) {
        socket.onmessage = () => value;
        socket.onerror = () => value;
        t.note(`message: ${JSON.stringify(value)}`, fire(socket, 'message', { cancelable: true }));
        t.note(`message that cannot be: ${JSON.stringify(value)}`, fire(socket, 'message'));
        t.note(`error: ${JSON.stringify(value)}`, fire(socket, 'error', { cancelable: true }));
      }
    },

    async 'a handler that is changed while an event is dispatched'(t) {
      const socket = t.make(t.echoUrl());
      const calls = [];
      socket.addEventListener(
        'message',
        () => {
          calls.push('listener');
          socket.onmessage = () => calls.push('new');
        },
        { once: true },
      );
      socket.onmessage = () => calls.push('old');
      fire(socket, 'message');
      fire(socket, 'message');
      t.note('replaced', calls.splice(0));
      socket.onmessage = () => {
        calls.push('once');
        socket.onmessage = null;
      };
      fire(socket, 'message');
      fire(socket, 'message');
      t.note('removes itself', calls.splice(0));
    },

    async 'listeners: once, signal, capture, handleEvent, removal, no listener'(t) {
      const socket = t.make(t.echoUrl());
      const calls = [];
      const controller = new AbortController();
      const removed = () => calls.push('removed');
      const object = {
        handleEvent(event) {
          calls.push(`handleEvent ${this === object} ${event.type}`);
        },
      };
      socket.addEventListener('message', () => calls.push('bubble'));
      socket.addEventListener('message', () => calls.push('capture'), true);
      socket.addEventListener('message', () => calls.push('once'), { once: true });
      socket.addEventListener('message', () => calls.push('signal'), { signal: controller.signal });
      socket.addEventListener('message', object);
      socket.addEventListener('message', removed);
      socket.removeEventListener('message', removed);
      socket.addEventListener('message', null);
      fire(socket, 'message');
      t.note('first', calls.splice(0));
      controller.abort();
      fire(socket, 'message');
      t.note('second', calls.splice(0));
      t.attempt('a listener that is none', () => socket.addEventListener('message', 7));
    },

    async 'a listener can stop the others'(t) {
      const socket = t.make(t.echoUrl());
      const calls = [];
      socket.addEventListener('message', (event) => {
        calls.push('first');
        event.stopImmediatePropagation();
      });
      socket.onmessage = () => calls.push('handler');
      fire(socket, 'message');
      t.note('calls', calls);
    },

    async 'a handler that throws is reported, and the others are called'(t) {
      const { socket } = await t.open();
      const calls = [];
      socket.onmessage = () => {
        throw new Error('thrown by the handler');
      };
      socket.addEventListener('message', {
        handleEvent() {
          throw new Error('thrown by a listener');
        },
      });
      socket.addEventListener('message', () => calls.push('called'));
      const received = t.messages(socket, 2);
      socket.send('1');
      socket.send('2');
      await received;
      t.note('reported', t.takeUncaught());
      t.note('calls', calls);
    },

    async 'handlers of a connection are called once for each event, in order'(t) {
      const socket = t.make(t.echoUrl());
      const calls = [];
      for (const type of ['open', 'message', 'error', 'close']) {
        socket.addEventListener(type, () => calls.push(`listener ${type}`));
        socket[`on${type}`] = () => calls.push(`handler ${type}`);
      }
      await t.next(socket, 'open');
      const received = t.messages(socket, 2);
      socket.send('1');
      socket.send('2');
      await received;
      const closed = t.next(socket, 'close');
      socket.close();
      await closed;
      await t.settle();
      t.note('calls', calls);
    },
  },
};
