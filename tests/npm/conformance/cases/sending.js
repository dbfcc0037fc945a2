// send() and bufferedAmount.

import { content, outcome } from '../bench.js';

/** The echo of a value, or what `send` throws for it. */
async function echoed(t, socket, value) {
  let came;
  const sent = outcome(() => {
    came = t.messages(socket, 1);
    socket.send(value);
  });
  if (sent.startsWith('throws')) {
    // Nothing comes back for the value: the next message arrives in its place.
    socket.send('nothing');
    return `${sent}, and ${await came}`;
  }
  const [message] = await came;
  return message;
}

/** Shared memory; made this way, since pages that are not cross-origin isolated have no global constructor for it. */
function shared() {
  return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer;
}

function detached() {
  const buffer = new ArrayBuffer(4);
  const view = new Uint8Array(buffer, 1, 2);
  const dataView = new DataView(buffer, 1, 2);
  structuredClone(buffer, { transfer: [buffer] });
  return { buffer, view, dataView };
}

const VIEWS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

export const sending = {
  title: 'send() and bufferedAmount',
  cases: {
    async 'text of every kind arrives as it is'(t) {
      const { socket } = await t.open();
      const texts = {
        empty: '',
        ASCII: 'text',
        'of 2, 3 and 4 bytes': 'é€\u{1F600}',
        'a lone high surrogate': 'a\ud800b',
        'a lone low surrogate': 'a\udc00b',
        'surrogates in the wrong order': '\udc00\ud800',
        NUL: 'a\0b',
        'a byte order mark': '\ufefftext',
        'line ends': '\r\n\u2028',
      };
      for (const [what, text] of Object.entries(texts)) t.note(what, await echoed(t, socket, text));
    },

    async 'messages that are not strings are converted'(t) {
      const { socket } = await t.open();
      const values = {
        null: null,
        undefined,
        true: true,
        'a number': 12.5,
        NaN,
        'a BigInt': 7n,
        'an array': [1, [2, 3]],
        'an object': {},
        'an object with toString': { toString: () => 'mine' },
        'an object with a primitive': { [Symbol.toPrimitive]: (hint) => hint },
        'a date': new Date(NaN),
        'a function': Object.assign(() => {}, { toString: () => 'a function' }),
        'a string object': new String('x'),
        'a URL': new URL('ws://x/'),
        'an element': 'document' in globalThis ? Object.prototype.toString.call(document.createElement('p')) : '',
      };
      for (const [what, value] of Object.entries(values)) t.note(what, await echoed(t, socket, value));
    },

    async 'messages that cannot be converted throw, and send nothing'(t) {
      const { socket } = await t.open();
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      const values = {
        'a symbol': Symbol('x'),
        'an object without a string': Object.create(null),
        'an object that throws': {
          toString() {
            throw new RangeError('mine');
          },
        },
        'a revoked proxy': proxy,
      };
      for (const [what, value] of Object.entries(values)) t.note(what, await echoed(t, socket, value));
      t.attempt('nothing', () => socket.send());
      t.note('bufferedAmount', socket.bufferedAmount);
    },

    async 'texts short and long count as their bytes in UTF-8'(t) {
      const { socket } = await t.open();
      const ends = {
        ASCII: '',
        'two bytes': 'é',
        'three bytes': '€',
        'four bytes': '𝄞',
        'half a pair': '\ud834',
        'the other half': '\udd1e',
      };
      for (const length of [0, 1, 63, 64, 65, 200, 70_000]) {
        for (const [what, end] of Object.entries(ends)) {
          const rest = 'x'.repeat(length);
          t.note(
            `${length} units and ${what}`,
            [`${rest}${end}`, `${end}${rest}`, `${rest}${end}x${end}`].map((text) => {
              const before = socket.bufferedAmount;
              socket.send(text);
              return socket.bufferedAmount - before;
            }),
          );
        }
      }
    },

    async 'buffers and views arrive as their bytes'(t) {
      const { socket } = await t.open();
      const bytes = Uint8Array.from({ length: 16 }, (_, index) => index);
      t.note('a buffer', await echoed(t, socket, bytes.buffer));
      t.note('an empty buffer', await echoed(t, socket, new ArrayBuffer(0)));
      for (const View of VIEWS) {
        t.note(View.name, await echoed(t, socket, new View(bytes.buffer)));
        const size = View.BYTES_PER_ELEMENT;
        t.note(`${View.name} in the middle`, await echoed(t, socket, new View(bytes.buffer, size, 1)));
      }
      t.note('an empty view', await echoed(t, socket, new Uint8Array(bytes.buffer, 3, 0)));
      t.note('a DataView', await echoed(t, socket, new DataView(bytes.buffer)));
      t.note('a DataView in the middle', await echoed(t, socket, new DataView(bytes.buffer, 3, 5)));
    },

    async 'a buffer that was transferred away has no bytes'(t) {
      const { socket } = await t.open();
      const { buffer, view, dataView } = detached();
      t.note('a buffer', await echoed(t, socket, buffer));
      t.note('a view', await echoed(t, socket, view));
      t.note('a DataView', await echoed(t, socket, dataView));
    },

    async 'shared memory is refused'(t) {
      const { socket } = await t.open();
      const memory = shared();
      t.note('a view', await echoed(t, socket, new Uint8Array(memory, 0, 4)));
      t.note('a DataView', await echoed(t, socket, new DataView(memory, 0, 4)));
      t.note('a buffer', await echoed(t, socket, memory));
    },

    async 'buffers that can be resized'(t) {
      const { socket } = await t.open();
      const buffer = new ArrayBuffer(4, { maxByteLength: 8 });
      t.note('a buffer', await echoed(t, socket, buffer));
      t.note('a view', await echoed(t, socket, new Uint8Array(buffer)));
    },

    async 'objects that only look like what can be sent are converted to text'(t) {
      const { socket } = await t.open();
      t.note('a buffer by its tag', await echoed(t, socket, { [Symbol.toStringTag]: 'ArrayBuffer', byteLength: 2 }));
      t.note(
        'a blob by its prototype',
        await echoed(t, socket, Object.create(Blob.prototype, { [Symbol.toPrimitive]: { value: () => 'no blob' } })),
      );
      t.note('a buffer by its prototype', await echoed(t, socket, Object.create(ArrayBuffer.prototype)));
      const proxy = new Proxy(new Uint8Array(2), {
        get: (_, name) => (name === Symbol.toPrimitive ? () => 'a proxy' : undefined),
      });
      t.note('a proxy of a view', await echoed(t, socket, proxy));
    },

    async 'objects of another realm are treated as what they are'(t) {
      const frame = document.createElement('iframe');
      document.body.append(frame);
      const other = frame.contentWindow;
      const { socket } = await t.open();
      t.note('a buffer', await echoed(t, socket, new other.Uint8Array([1, 2]).buffer));
      t.note('a view', await echoed(t, socket, new other.Uint8Array([3, 4])));
      t.note('a blob', await echoed(t, socket, new other.Blob(['text'])));
      frame.remove();
    },

    async 'subclasses of what can be sent, with properties that lie'(t) {
      const { socket } = await t.open();
      class Buffer extends ArrayBuffer {
        get byteLength() {
          return 99;
        }
        slice() {
          throw new RangeError('not this one');
        }
      }
      class View extends Uint8Array {
        get byteLength() {
          return 99;
        }
        get byteOffset() {
          return 7;
        }
        get buffer() {
          return new ArrayBuffer(0);
        }
      }
      class Data extends DataView {
        get byteLength() {
          return 99;
        }
        get byteOffset() {
          return 7;
        }
      }
      class File extends Blob {
        get size() {
          return 99;
        }
      }
      const buffer = new Buffer(3);
      t.note('a buffer', await echoed(t, socket, buffer));
      t.note('a view', await echoed(t, socket, new View([1, 2, 3])));
      t.note('a DataView', await echoed(t, socket, new Data(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2)));
      t.note('a blob', await echoed(t, socket, new File(['abc'])));
    },

    async 'blobs arrive as their bytes, in the order sent'(t) {
      const { socket } = await t.open();
      const received = t.messages(socket, 6);
      socket.send(new Blob(['one']));
      socket.send('two');
      socket.send(new Blob([]));
      socket.send(new Blob(['x'.repeat(100_000)]).slice(0, 3));
      socket.send(new Uint8Array([4]));
      socket.send(new File(['five'], 'name', { type: 'text/plain' }));
      t.note('bufferedAmount', socket.bufferedAmount);
      t.note('received', await received);
    },

    async 'what is sent is copied'(t) {
      const { socket } = await t.open();
      const bytes = new Uint8Array([1, 2, 3]);
      const received = t.messages(socket, 2);
      socket.send(bytes);
      bytes.fill(9);
      socket.send(bytes.buffer);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      t.note('received', await received);
    },

    async 'sizes at the borders of the frame formats arrive whole'(t) {
      const socket = t.make(t.rawUrl({ echo: 1 }));
      socket.binaryType = 'arraybuffer';
      await t.next(socket, 'open');
      for (const size of [125, 126, 127, 65_535, 65_536, 65_537, 1_000_000]) {
        const text = t.next(socket, 'message');
        socket.send('x'.repeat(size));
        const { data } = await text;
        t.note(`text of ${size}`, [data.length, data === 'x'.repeat(size)]);
        const binary = t.next(socket, 'message');
        socket.send(Uint8Array.from({ length: size }, (_, index) => index % 251));
        const bytes = new Uint8Array((await binary).data);
        t.note(`binary of ${size}`, [bytes.length, bytes.every((byte, index) => byte === index % 251)]);
      }
    },

    async 'many messages keep their order'(t) {
      const { socket } = await t.open();
      const received = t.messages(socket, 500);
      for (let index = 0; index < 500; index += 1)
        socket.send(index % 3 === 0 ? new Uint8Array([index % 256]) : String(index));
      const all = await received;
      t.note(
        'all in order',
        all.every((message, index) => message === (index % 3 === 0 ? `ArrayBuffer [${index % 256}]` : String(index))),
      );
    },

    async 'while connecting it throws'(t) {
      const socket = t.make(t.silentUrl());
      t.attempt('text', () => socket.send('x'));
      t.attempt('binary', () => socket.send(new Uint8Array(2)));
      t.attempt('nothing', () => socket.send());
      t.attempt('a symbol', () => socket.send(Symbol('x')));
      t.attempt('an object that throws', () =>
        socket.send({
          toString() {
            throw new RangeError('mine');
          },
        }),
      );
      t.note('bufferedAmount', socket.bufferedAmount);
      t.note('readyState', socket.readyState);
    },

    async 'in the open handler it sends'(t) {
      const socket = t.make(t.echoUrl());
      const received = t.messages(socket, 2);
      socket.onopen = () => {
        socket.send('1');
        socket.send('2');
      };
      t.note('received', await received);
    },

    async 'when closing or closed it counts and discards'(t) {
      const { socket } = await t.open();
      const end = t.next(socket, 'close');
      socket.close();
      t.attempt('closing', () => socket.send('é'));
      t.note('bufferedAmount when closing', socket.bufferedAmount);
      await end;
      for (const value of ['€', new Uint8Array(5), new Uint16Array(3).subarray(1), new Blob(['blob']), '\ud800', 12])
        socket.send(value);
      t.note('bufferedAmount when closed', socket.bufferedAmount);
      t.attempt('a symbol', () => socket.send(Symbol('x')));
      t.attempt('nothing', () => socket.send());
    },

    async 'after a handshake that failed it counts and discards'(t) {
      const socket = t.make(t.refusedUrl());
      await t.next(socket, 'close');
      t.attempt('text', () => socket.send('four'));
      t.note('bufferedAmount', socket.bufferedAmount);
    },

    async 'after close() while connecting it counts and discards'(t) {
      const socket = t.make(t.silentUrl());
      const end = t.next(socket, 'close');
      socket.close();
      t.attempt('text', () => socket.send('four'));
      t.note('bufferedAmount', socket.bufferedAmount);
      await end;
      t.note('bufferedAmount when closed', socket.bufferedAmount);
    },

    async 'bufferedAmount grows in bytes, and is 0 when all has gone'(t) {
      const { socket } = await t.open();
      const amounts = [socket.bufferedAmount];
      for (const value of [
        '',
        'text',
        'é€\u{1F600}',
        '\ud800',
        new ArrayBuffer(3),
        new Uint16Array(2),
        new DataView(new ArrayBuffer(8), 2, 4),
      ]) {
        socket.send(value);
        amounts.push(socket.bufferedAmount);
      }
      t.note('amounts', amounts);
      await t.messages(socket, 7);
      t.note('afterwards', socket.bufferedAmount);
    },

    async 'bufferedAmount does not go back within a task'(t) {
      const { socket } = await t.open();
      const received = t.messages(socket, 1);
      socket.send('x'.repeat(1_000));
      await null;
      t.note('after a microtask', socket.bufferedAmount);
      await received;
    },

    async 'bufferedAmount stays when the connection is closed'(t) {
      const { socket } = await t.open();
      const end = t.next(socket, 'close');
      socket.close();
      socket.send('four');
      socket.send('four');
      await end;
      t.note('closed', socket.bufferedAmount);
      await t.settle();
      t.note('later', socket.bufferedAmount);
    },

    async 'data of a message can be read again and again'(t) {
      const { socket } = await t.open();
      const came = t.next(socket, 'message');
      socket.send(new Uint8Array([1]));
      const event = await came;
      // biome-ignore lint/suspicious/noSelfCompare: the getter may make an object each time
      t.note('the same object', event.data === event.data);
      t.note('content', await content(event.data));
    },
  },
};
