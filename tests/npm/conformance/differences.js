// Differences between a ReconnectingWebSocket without options and a WebSocket: each case with the observations of both.

export const differences = {
  title: 'What differs by default',
  cases: {
    '`send` while connecting is queued, and `bufferedAmount` counts it': {
      async run(t) {
        const socket = t.make(t.echoUrl());
        t.attempt('send', () => socket.send('early'));
        t.note('bufferedAmount', socket.bufferedAmount);
      },
      native: { send: 'throws InvalidStateError (DOMException)', bufferedAmount: 0 },
      ours: { send: 'gives "undefined"', bufferedAmount: 5 },
    },

    '`isTrusted` of its events is `false`': {
      async run(t) {
        const socket = t.make(t.echoUrl());
        t.note('isTrusted', (await t.next(socket, 'open')).isTrusted);
      },
      native: { isTrusted: true },
      ours: { isTrusted: false },
    },

    'a lost connection is not the end: `close` says `willReconnect`, `readyState` is 0, and `open` comes again': {
      async run(t) {
        const id = t.newId();
        const socket = t.make(t.echoUrl(id));
        await t.next(socket, 'open');
        const end = t.next(socket, 'close');
        await t.cut(id);
        const { code, willReconnect } = await end;
        t.note('close', [code, willReconnect ?? null]);
        t.note('readyState', socket.readyState);
      },
      native: { close: [1006, null], readyState: 3 },
      ours: { close: [1006, true], readyState: 0 },
    },

    'an attempt that fails is not the end, either': {
      async run(t) {
        const socket = t.make(t.refusedUrl());
        const { code, willReconnect } = await t.next(socket, 'close');
        t.note('close', [code, willReconnect ?? null]);
        t.note('readyState', socket.readyState);
      },
      native: { close: [1006, null], readyState: 3 },
      ours: { close: [1006, true], readyState: 0 },
    },

    'the second argument may be an object, which newer browsers take as `{ protocols }`': {
      async run(t) {
        const url = t.echoUrl();
        t.attempt('an object', () => t.make(url, {}) instanceof EventTarget);
      },
      native: { 'an object': 'throws SyntaxError (DOMException)' },
      ours: { 'an object': 'gives true' },
    },

    'the URL may be a function, which is no URL to a `WebSocket`': {
      async run(t) {
        const url = t.echoUrl();
        t.attempt('url', () => {
          // A `WebSocket` parses the function's source text as a relative URL.
          const socket = t.make(() => url);
          return socket.url.endsWith('%3E%20url');
        });
      },
      native: { url: 'gives true' },
      ours: { url: 'gives false' },
    },

    'a third argument has options, and a wrong one is refused': {
      async run(t) {
        t.attempt('a name that there is not', () => {
          t.make(t.echoUrl(), [], { reconnection: true });
        });
      },
      native: { 'a name that there is not': 'gives "undefined"' },
      ours: { 'a name that there is not': 'throws TypeError' },
    },

    '`send` takes options after the message, and refuses wrong ones; a `WebSocket` ignores them': {
      async run(t) {
        const { socket } = await t.open();
        const received = t.messages(socket, 1);
        t.attempt('a number', () => socket.send('first', 0));
        socket.send('second');
        t.note('received', await received);
      },
      native: { 'a number': 'gives "undefined"', received: ['first'] },
      ours: { 'a number': 'throws TypeError', received: ['second'] },
    },

    '`send` throws when the browser holds `highWaterMark` (1 MiB) and the queue is full (1,000 messages or 16 MiB)': {
      async run(t) {
        const { socket } = await t.open();
        const message = new Uint8Array(64 * 1024);
        t.attempt('18 MiB at once', () => {
          for (let sent = 0; sent < 18 * 1024 * 1024; sent += message.length) socket.send(message);
        });
      },
      native: { '18 MiB at once': 'gives "undefined"' },
      ours: { '18 MiB at once': 'throws QuotaExceededError (DOMException)' },
    },

    'a message of more than `maxMessageBytes` (64 MiB) ends the connection; a `WebSocket` has no limit': {
      async run(t) {
        const socket = t.make(t.rawUrl({ huge: 64 * 1024 * 1024 + 1 }));
        socket.binaryType = 'arraybuffer';
        const event = await Promise.race([t.next(socket, 'message'), t.next(socket, 'close')]);
        t.note('event', event.type);
      },
      native: { event: 'message' },
      ours: { event: 'close' },
    },

    'an attempt that the server does not answer ends after `connectTimeout` (15 s); a browser waits longer': {
      async run(t) {
        const socket = t.make(t.silentUrl());
        const closed = new Promise((resolve) => {
          socket.onclose = ({ code }) => resolve(code);
        });
        const patience = new Promise((resolve) => {
          setTimeout(resolve, 16_000, 'nothing in 16 s');
        });
        t.note('end', await Promise.race([closed, patience]));
      },
      native: { end: 'nothing in 16 s' },
      ours: { end: 1006 },
    },

    'a Close that the server does not answer ends after `closeTimeout` (5 s); a browser waits longer': {
      async run(t) {
        const socket = t.make(t.rawUrl({ deaf: 1 }));
        await t.next(socket, 'open');
        socket.close();
        const patience = new Promise((resolve) => {
          setTimeout(resolve, 10_000, 'nothing in 10 s');
        });
        t.note('end', await Promise.race([t.next(socket, 'close').then(({ code }) => code), patience]).catch(String));
      },
      native: { end: 'nothing in 10 s' },
      ours: { end: 1006 },
    },
  },
};
