// Received messages, and binaryType.

/** Two binary messages of one byte, 1 and 2, then a text. */
const TWO_AND_TEXT = '820101820102810174';

export const receiving = {
  title: 'Receiving and binaryType',
  cases: {
    async 'binaryType takes its two values, and ignores others'(t) {
      const socket = t.make(t.echoUrl());
      const look = (value) => {
        socket.binaryType = value;
        return socket.binaryType;
      };
      t.note('at first', socket.binaryType);
      for (const value of [
        'arraybuffer',
        'Blob',
        'ARRAYBUFFER',
        'blob',
        '',
        'text',
        null,
        undefined,
        7,
        {},
        ['arraybuffer'],
        { toString: () => 'blob' },
      ])
        t.attempt(`${typeof value} ${JSON.stringify(value)} ${value}`, () => look(value));
      t.attempt('a symbol', () => look(Symbol('blob')));
      t.attempt('an object that throws', () =>
        look({
          toString() {
            throw new RangeError('mine');
          },
        }),
      );
      t.note('at last', socket.binaryType);
    },

    async 'binaryType can be set in every state'(t) {
      const { socket } = await t.open();
      const end = t.next(socket, 'close');
      socket.binaryType = 'blob';
      t.note('open', socket.binaryType);
      socket.close();
      socket.binaryType = 'arraybuffer';
      t.note('closing', socket.binaryType);
      await end;
      socket.binaryType = 'blob';
      t.note('closed', socket.binaryType);
    },

    async 'binary messages are blobs by default'(t) {
      const socket = t.make(t.echoUrl());
      await t.next(socket, 'open');
      const came = t.next(socket, 'message');
      socket.send(new Uint8Array([1, 2, 3]));
      const { data } = await came;
      t.note('blob', [data instanceof Blob, data.constructor === Blob, data.size, data.type]);
      t.note('bytes', [...new Uint8Array(await data.arrayBuffer())]);
    },

    async 'binary messages are buffers when binaryType says so'(t) {
      const { socket } = await t.open();
      const came = t.next(socket, 'message');
      socket.send(new Uint8Array([1, 2, 3]));
      const { data } = await came;
      t.note('buffer', [data instanceof ArrayBuffer, data.byteLength, data.resizable ?? false]);
    },

    async 'binaryType applies when a message is delivered'(t) {
      for (const [first, second] of [
        ['blob', 'arraybuffer'],
        ['arraybuffer', 'blob'],
      ]) {
        const socket = t.make(t.rawUrl({ frames: TWO_AND_TEXT }));
        socket.binaryType = first;
        socket.addEventListener(
          'message',
          () => {
            socket.binaryType = second;
          },
          { once: true },
        );
        t.note(`${first}, then ${second}`, await t.messages(socket, 3));
      }
    },

    async 'binaryType set in the open handler applies to messages already received'(t) {
      const socket = t.make(t.rawUrl({ frames: TWO_AND_TEXT }));
      socket.onopen = () => {
        socket.binaryType = 'arraybuffer';
      };
      t.note('received', await t.messages(socket, 3));
    },

    async 'blobs, buffers and texts keep their order'(t) {
      const socket = t.make(t.echoUrl());
      await t.next(socket, 'open');
      const received = t.messages(socket, 20);
      for (let index = 0; index < 20; index += 1) socket.send(index % 2 === 0 ? new Uint8Array([index]) : `${index}`);
      socket.addEventListener('message', () => {
        socket.binaryType = socket.binaryType === 'blob' ? 'arraybuffer' : 'blob';
      });
      const kinds = await received;
      t.note(
        'numbers',
        kinds.map((text) => Number(/\d+/.exec(text)[0])),
      );
    },

    async 'empty messages are messages'(t) {
      const socket = t.make(t.rawUrl({ frames: '8100820082008100' }));
      socket.binaryType = 'arraybuffer';
      t.note('received', await t.messages(socket, 4));
    },

    async 'fragmented messages arrive whole, with pings between the fragments'(t) {
      const frames = ['010161', '8900', '000162', '800163', '020178', '800179', '8100'];
      const socket = t.make(t.rawUrl({ frames: frames.join('') }));
      socket.binaryType = 'arraybuffer';
      t.note('received', await t.messages(socket, 3));
    },

    async 'fragmented text that splits a character arrives whole'(t) {
      const socket = t.make(t.rawUrl({ frames: '0102f09f' + '80029880' }));
      t.note('received', await t.messages(socket, 1));
    },

    async 'control frames are not messages'(t) {
      const socket = t.make(t.rawUrl({ frames: '8900' + '8a00' + '890161' + '810174' }));
      t.note('received', await t.messages(socket, 1));
    },

    async 'texts are not trimmed'(t) {
      const socket = t.make(t.rawUrl({ frames: '8104efbbbf61' + '8103610062' + '81040d0a2009' }));
      const received = await t.messages(socket, 3);
      t.note(
        'received',
        received.map((text) => [...text].map((sign) => sign.codePointAt(0))),
      );
    },

    async 'a socket without a message handler loses nothing that comes later'(t) {
      const { socket } = await t.open();
      socket.send('unheard');
      const heard = t.next(socket, 'message', ({ data }) => data === 'heard');
      socket.send('heard');
      t.note('data', (await heard).data);
    },

    async 'handlers that are set after the constructor miss nothing'(t) {
      const socket = t.make(t.rawUrl({ frames: '810161810162' }));
      await null;
      const log = t.log(socket);
      await t.messages(socket, 2);
      t.note('events', log);
    },
  },
};
