// The interface object, its prototype and its attributes, as Web IDL describes them.

const CONSTANTS = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];
const READ_ONLY = ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol'];
const HANDLERS = ['onopen', 'onerror', 'onclose', 'onmessage'];
const METHODS = ['close', 'send'];

/** The attributes of a property, without its value. */
function kind(holder, name) {
  const property = Object.getOwnPropertyDescriptor(holder, name);
  if (!property) return 'none';
  const flags = ['writable', 'enumerable', 'configurable'].filter((flag) => property[flag]);
  const functions = ['get', 'set', 'value']
    .filter((part) => typeof property[part] === 'function')
    .map((part) => `${part}: ${property[part].name}/${property[part].length}`);
  return [...functions, ...flags].join(', ');
}

export const shape = {
  title: 'The interface',
  cases: {
    async 'the class is a function with the parameters of the standard'(t) {
      t.note('type', typeof t.Socket);
      t.note('length', t.Socket.length);
      t.note('property length', kind(t.Socket, 'length'));
      t.note('property name', kind(t.Socket, 'name'));
      t.note('property prototype', kind(t.Socket, 'prototype'));
    },

    async 'the class is called WebSocket'(t) {
      t.note('name', t.Socket.name);
      t.note('tag', t.Socket.prototype[Symbol.toStringTag]);
      t.note('as a string', Object.prototype.toString.call(t.make(t.echoUrl())));
    },

    async 'the tag of the prototype is configurable and nothing else'(t) {
      t.note('property', kind(t.Socket.prototype, Symbol.toStringTag));
    },

    async 'the class extends EventTarget, and its objects are instances of both'(t) {
      const socket = t.make(t.echoUrl());
      t.note('class', Object.getPrototypeOf(t.Socket) === EventTarget);
      t.note('prototype', Object.getPrototypeOf(t.Socket.prototype) === EventTarget.prototype);
      t.note('property constructor', kind(t.Socket.prototype, 'constructor').replace(/value: \w+/, 'value'));
      t.note('instance of EventTarget', socket instanceof EventTarget);
      t.note('instance of its class', socket instanceof t.Socket);
    },

    async 'an object of the class is an instance of WebSocket'(t) {
      t.note('instance', t.make(t.echoUrl()) instanceof WebSocket);
    },

    async 'it cannot be called without new'(t) {
      t.attempt('a call', () => t.Socket(t.echoUrl()));
      t.attempt('apply', () => Reflect.apply(t.Socket, {}, [t.echoUrl()]));
    },

    async 'it needs an argument'(t) {
      t.attempt('none', () => t.make());
    },

    async 'constants are on the class and on the prototype, and cannot be changed'(t) {
      for (const name of CONSTANTS) {
        for (const [where, holder] of [
          ['class', t.Socket],
          ['prototype', t.Socket.prototype],
        ]) {
          t.note(`${name} of the ${where}`, `${holder[name]} ${kind(holder, name)}`);
        }
        t.attempt(`assigning ${name}`, () => {
          t.Socket[name] = 7;
        });
        t.attempt(`deleting ${name}`, () => delete t.Socket.prototype[name]);
      }
      const socket = t.make(t.echoUrl());
      t.note(
        'of an object',
        CONSTANTS.map((name) => socket[name]),
      );
      t.attempt('assigning one of an object', () => {
        socket.OPEN = 7;
      });
    },

    async 'attributes are accessors of the prototype, methods are its properties'(t) {
      for (const name of [...READ_ONLY, ...HANDLERS, 'binaryType', ...METHODS]) {
        t.note(name, kind(t.Socket.prototype, name));
      }
    },

    async 'an object has no properties of its own'(t) {
      const socket = t.make(t.echoUrl());
      t.note('names', Object.getOwnPropertyNames(socket));
      t.note('symbols', Object.getOwnPropertySymbols(socket).length);
      const names = new Set();
      for (const name in socket) names.add(name);
      t.note(
        'enumerated',
        [...CONSTANTS, ...READ_ONLY, ...HANDLERS, ...METHODS, 'binaryType', 'addEventListener', 'constructor'].filter(
          (name) => names.has(name),
        ),
      );
    },

    async 'read-only attributes cannot be assigned'(t) {
      const socket = t.make(t.echoUrl());
      for (const name of READ_ONLY)
        t.attempt(name, () => {
          socket[name] = 'x';
        });
    },

    async 'accessors and methods refuse an object of another class'(t) {
      for (const name of [...READ_ONLY, ...HANDLERS, 'binaryType']) {
        t.attempt(`${name} of the prototype`, () => t.Socket.prototype[name]);
        const { get, set } = Object.getOwnPropertyDescriptor(t.Socket.prototype, name);
        t.attempt(`${name} read of another object`, () => Reflect.apply(get, new EventTarget(), []));
        if (set) t.attempt(`${name} set of another object`, () => Reflect.apply(set, new EventTarget(), [null]));
      }
      for (const name of METHODS) {
        t.attempt(`${name} of another object`, () => Reflect.apply(t.Socket.prototype[name], new EventTarget(), ['x']));
      }
    },

    async 'a class can extend it, and change what it does'(t) {
      const calls = [];
      class Extended extends t.Socket {
        #mine = 'private';
        get mine() {
          return this.#mine;
        }
        send(data) {
          calls.push(`send ${data}`);
          super.send(data);
        }
        close(...given) {
          calls.push(`close ${given}`);
          super.close(...given);
        }
      }
      const socket = t.keep(new Extended(t.echoUrl()));
      t.note('instance', [socket instanceof Extended, socket instanceof t.Socket, socket.constructor === Extended]);
      t.note('its own field', socket.mine);
      t.note('constant', [Extended.OPEN, socket.OPEN]);
      await t.next(socket, 'open');
      const received = t.messages(socket, 1);
      socket.send('x');
      t.note('received', await received);
      const closed = t.next(socket, 'close');
      socket.close(3000, 'bye');
      t.note('code', (await closed).code);
      t.note('calls', calls);
    },

    async 'it can be constructed for another class'(t) {
      function Other() {}
      Other.prototype = Object.create(t.Socket.prototype);
      const socket = t.keep(Reflect.construct(t.Socket, [t.echoUrl()], Other));
      t.note('prototype', Object.getPrototypeOf(socket) === Other.prototype);
      t.note('readyState', socket.readyState);
    },

    async 'it cannot be cloned'(t) {
      t.attempt('structuredClone', () => structuredClone(t.make(t.echoUrl())));
    },
  },
};
