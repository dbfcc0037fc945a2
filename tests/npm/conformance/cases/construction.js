// What the constructor accepts, what it rejects, and how it converts its arguments.

/** The result for a URL: the attribute `url`, or the error. */
function parsed(t, name, ...given) {
  t.attempt(name, () => {
    const socket = t.make(...given);
    const { url } = socket;
    socket.close();
    return url;
  });
}

/** An object that records its conversion to a string in a list. */
function spy(list, text) {
  return {
    toString() {
      list.push(text);
      return text;
    },
  };
}

export const construction = {
  title: 'Constructor',
  cases: {
    async 'schemes: http and https become ws and wss, others are refused'(t) {
      for (const scheme of ['ws', 'wss', 'http', 'https', 'WS', 'hTTps'])
        parsed(t, scheme, `${scheme}://${t.host}/echo`);
      for (const url of [
        'ftp://127.0.0.1/',
        'file:///tmp',
        'mailto:ada@example.test',
        'about:blank',
        'javascript:1',
        'data:,x',
        'blob:null',
        'wsx://127.0.0.1/',
      ]) {
        parsed(t, url, url);
      }
    },

    async 'relative URLs are relative to the page'(t) {
      for (const url of [
        '/echo?x=1',
        'echo',
        '?x',
        '//127.0.0.1:9/x',
        '',
        '.',
        '../up',
        'http:relative',
        'ws:relative',
        'ws:/one',
        'ws:///three',
        'WS:\\\\127.0.0.1\\back',
      ]) {
        parsed(t, JSON.stringify(url), url);
      }
    },

    async 'a fragment is refused, even an empty one'(t) {
      for (const end of ['#', '#x', '#?', '?a#b', '%23']) parsed(t, end, `ws://${t.host}/echo${end}`);
    },

    async 'hosts and ports are parsed as URLs are'(t) {
      for (const url of [
        'ws://',
        'ws:///',
        'ws://[',
        'ws://[::1',
        'ws://a b/',
        'ws://%zz/',
        'ws://127.0.0.1:99999/',
        'ws://127.0.0.1:-1/',
        'ws://127.0.0.1:x/',
        'ws://127.0.0.1:/',
        'ws://127.0.0.1:80/',
        'wss://127.0.0.1:443/',
        'ws://127.1:9/',
        'ws://0x7f.1:9/',
        'ws://[::1]:9/',
        'ws://LOCALHOST:9/',
        'ws://256.0.0.1/',
        'ws://bücher.test/',
      ])
        parsed(t, url, url);
    },

    async 'a user and a password stay in the URL'(t) {
      for (const user of ['user@', 'user:pass@', ':@', '@', 'us%20er:p%40ss@'])
        parsed(t, user, `ws://${user}${t.host}/echo`);
    },

    async 'paths and queries are encoded as URLs are'(t) {
      for (const path of [
        '/a b',
        '/ä?ö',
        '/%zz',
        '/a/../b',
        '/\ud800',
        '?\ud800',
        '/{}|^',
        '?x=\'"<>',
        '/\ta\nb',
        '?a=ü&b=\u{1F600}',
      ]) {
        parsed(t, JSON.stringify(path), `ws://${t.host}${path}`);
      }
      parsed(t, 'white space around it', ` \n ws://${t.host}/echo\t `);
    },

    async 'URLs that are not strings are converted'(t) {
      parsed(t, 'undefined', undefined);
      parsed(t, 'null', null);
      parsed(t, 'a number', 42);
      parsed(t, 'true', true);
      parsed(t, 'a URL', new URL(`ws://${t.host}/echo`));
      parsed(t, 'an array', [`ws://${t.host}/echo`]);
      parsed(t, 'an object', { toString: () => `ws://${t.host}/echo` });
      parsed(t, 'an object with a primitive', { [Symbol.toPrimitive]: (hint) => `ws://${t.host}/echo?${hint}` });
      parsed(t, 'a symbol', Symbol('x'));
      parsed(t, 'an object that throws', {
        toString() {
          throw new RangeError('mine');
        },
      });
      parsed(t, 'an object without a string', Object.create(null));
    },

    async 'sub-protocols: what is refused at once'(t) {
      const url = t.echoUrl();
      const given = {
        'an empty name': '',
        'a space': 'a b',
        'a comma': 'a,b',
        'a letter that is not ASCII': 'é',
        'a control character': 'a\u0001',
        'a delete': 'a\u007f',
        'a lone surrogate': '\ud800',
        'an empty name among others': ['a', ''],
        'one twice': ['a', 'b', 'a'],
      };
      for (const separator of '()<>@,;:\\"/[]?={} \t')
        given[`the separator ${JSON.stringify(separator)}`] = `a${separator}b`;
      for (const [name, protocols] of Object.entries(given)) t.attempt(name, () => t.make(url, protocols));
    },

    async 'sub-protocols: what is offered to the server'(t) {
      const given = {
        nothing: [],
        undefined: [undefined],
        null: [null],
        'an empty array': [[]],
        'a string': ['one'],
        'an array': [['one', 'two', 'One']],
        'a set': [new Set(['one', 'two'])],
        'a generator': [
          (function* names() {
            yield 'one';
            yield 'two';
          })(),
        ],
        'a number': [5],
        'an array of other values': [[5, null, undefined, true]],
        'an object with a string': [{ toString: () => 'one' }],
        'a string object': [new String('one')],
        'all that is allowed': ["!#$%&'*+-.^_`|~09azAZ"],
      };
      for (const [name, protocols] of Object.entries(given)) {
        t.note(name, await offered(t, protocols));
      }
    },

    async 'sub-protocols: values that cannot be converted'(t) {
      const url = t.echoUrl();
      t.attempt('a symbol', () => t.make(url, Symbol('x')));
      t.attempt('a symbol in an array', () => t.make(url, [Symbol('x')]));
      t.attempt('an iterator that is none', () => t.make(url, { [Symbol.iterator]: 7 }));
      t.attempt('an iterator that gives none', () => t.make(url, { [Symbol.iterator]: () => 7 }));
      t.attempt('an iterator that throws', () =>
        t.make(url, {
          [Symbol.iterator]() {
            throw new RangeError('mine');
          },
        }),
      );
    },

    async 'a URL and sub-protocols are converted in their order, and then judged'(t) {
      const calls = [];
      t.attempt('both bad', () => t.make(spy(calls, 'ftp://x/'), [spy(calls, 'a b'), spy(calls, 'c')]));
      t.note('conversions', calls);
      t.attempt('a bad URL, and sub-protocols that throw', () =>
        t.make('ftp://x/', {
          toString() {
            throw new RangeError('mine');
          },
        }),
      );
    },

    async 'what a new socket is like'(t) {
      const url = t.echoUrl();
      const socket = t.make(url);
      t.note('url', socket.url === url);
      t.note('readyState', socket.readyState);
      t.note('others', [socket.protocol, socket.extensions, socket.bufferedAmount, socket.binaryType]);
      t.note('handlers', [socket.onopen, socket.onmessage, socket.onerror, socket.onclose]);
      await t.next(socket, 'open');
      t.note('readyState when open', socket.readyState);
      t.note('others when open', [socket.protocol, socket.extensions, socket.bufferedAmount, socket.binaryType]);
    },
  },
};

/** The sub-protocols that a request offers; `protocols` are the arguments after the URL. */
async function offered(t, protocols) {
  const socket = t.make(t.rawUrl({ mirror: 1, select: 'first' }), ...protocols);
  const [message] = await t.messages(socket, 1);
  return JSON.parse(message);
}
