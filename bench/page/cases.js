// The cases and their messages.

import { encode } from '@msgpack/msgpack';

import { bytesValue, shapeValues, step, textValue } from './digest.js';

const KIB = 1024;

/** How many different messages a case has; they repeat in a cycle. */
export const POOL = 64;

function plain(direction, kind, bytes) {
  return { id: `${direction}/${kind}/${bytes}`, direction, kind, bytes };
}

function typed(direction, kind, shape, bytes) {
  return { id: `${direction}/${kind}/${shape}-${bytes}`, direction, kind, shape, bytes };
}

/** The cases against the stub. */
export const STUB_CASES = ['receive', 'send'].flatMap((direction) => [
  ...[16, KIB, 64 * KIB].map((bytes) => plain(direction, 'text', bytes)),
  ...[16, 64, KIB, 64 * KIB].map((bytes) => plain(direction, 'binary', bytes)),
  ...['book', 'chat'].flatMap((shape) => [100, KIB].map((bytes) => typed(direction, 'json', shape, bytes))),
  ...[KIB, 64 * KIB].map((bytes) => typed(direction, 'json', 'note', bytes)),
  { ...typed(direction, 'json', 'note', KIB), id: `${direction}/json/note-cyrillic-${KIB}`, alphabet: 'Cyrillic' },
  ...['book', 'chat'].flatMap((shape) => [100, KIB].map((bytes) => typed(direction, 'msgpack', shape, bytes))),
  typed(direction, 'msgpack', 'note', KIB),
]);

/** Calling `send` on a real socket, which the stub cannot represent. */
export const REAL_SEND = { ...plain('send', 'text', 16), id: 'send on a real socket/text/16' };

/** The same, each message in a turn of the event loop of its own, and all of them the same. */
export const REAL_SEND_ALONE = { ...REAL_SEND, id: 'send on a real socket, one a turn/text/16', alone: true };

/** The messages of the end-to-end cases. */
const END_TO_END = [
  plain('echo', 'text', 16),
  plain('echo', 'text', KIB),
  plain('echo', 'binary', KIB),
  typed('echo', 'json', 'chat', 100),
];

/** Messages echoed by a real server. */
export const ECHO_CASES = END_TO_END;

/**
 * One-way messages: `in`, many in answer to one request; `out`, one in answer to many. A client both sends and
 * receives, as for an echo.
 */
export const ONE_WAY_CASES = ['in', 'out'].flatMap((way) =>
  END_TO_END.map((task) => ({ ...task, id: task.id.replace('echo', way), way })),
);

// --- Messages -----------------------------------------------------------------------------------------------

const WORDS = 'when the tide was out we walked over to the island and had tea with the keeper of the light '.split(' ');

const WORDS_IN_CYRILLIC = 'когда вода ушла мы перешли на остров и пили чай со смотрителем маяка '.split(' ');

/** ASCII by default, so that the length in bytes equals the length of the string. */
function words(length, from, all = WORDS) {
  let text = '';
  for (let index = from; text.length < length; index += 1) text += `${all[index % all.length]} `;
  return text.slice(0, length);
}

/** Grows a value by `grow(count)` as long as its JSON is at most `bytes` long. */
function largest(bytes, grow) {
  let best = grow(1);
  for (let count = 2; ; count += 1) {
    const next = grow(count);
    if (JSON.stringify(next).length > bytes) return best;
    best = next;
  }
}

/** The shapes of typed messages; `index` makes each message different. */
const SHAPES = {
  /** An order book: numbers in nested lists. */
  book: (bytes, index) => {
    const level = (at, side) => [64_210 + index + side * (at + 0.5), 1 + ((index * 7 + at * 13) % 900)];
    return largest(bytes, (count) => ({
      type: 'book',
      symbol: 'BTC-EUR',
      sequence: 10_000 + index,
      bids: Array.from({ length: Math.ceil(count / 2) }, (_, at) => level(at, -1)),
      asks: Array.from({ length: Math.max(1, Math.floor(count / 2)) }, (_, at) => level(at, 1)),
    }));
  },
  /** A page of a chat: short texts and a nested list. */
  chat: (bytes, index) =>
    largest(bytes, (count) => ({
      type: 'page',
      room: 'general',
      messages: Array.from({ length: count }, (_, at) => ({
        id: 1_000 + index + at,
        from: ['Ada', 'Grace', 'Linus', 'Niklaus'][(index + at) % 4],
        text: words(count === 1 ? 8 : 12 + ((index + at * 5) % 30), index + at),
        likes: (index + at) % 10,
        tags: at % 3 === 0 ? ['new'] : [],
      })),
    })),
  /** One long text of about that many bytes. */
  note: (bytes, index, { alphabet }) => ({
    type: 'note',
    id: index,
    text: alphabet === 'Cyrillic' ? words((bytes - 36) / 2, index, WORDS_IN_CYRILLIC) : words(bytes - 36, index),
  }),
};

const encoder = new TextEncoder();

/** A text that is flat in memory, as one from a socket is, rather than a rope of the pieces it was made from. */
function flat(text) {
  return new TextDecoder().decode(encoder.encode(text));
}

/** The messages of a case, each `{ wire, value }`. */
export function messagesOf(task) {
  const { kind, shape, bytes } = task;
  return Array.from({ length: POOL }, (_, place) => {
    const index = task.alone ? 0 : place;
    switch (kind) {
      case 'text':
        return { wire: flat(words(bytes, index)) };
      case 'binary':
        return { wire: Uint8Array.from({ length: bytes }, (__, at) => (index * 31 + at * 7) % 251) };
      case 'json': {
        const value = SHAPES[shape](bytes, index, task);
        return { wire: flat(JSON.stringify(value)), value };
      }
      case 'msgpack': {
        const value = SHAPES[shape](bytes, index, task);
        // A copy with its own buffer: the encoder returns a view into a larger one.
        return { wire: encode(value).slice(), value };
      }
      default:
        throw new Error(`there is no kind of message ${kind}`);
    }
  });
}

/** What a message adds to the digest. */
export function valueOf({ kind, shape }, { wire, value }) {
  if (kind === 'text') return textValue(wire);
  return kind === 'binary' ? bytesValue(wire) : shapeValues[shape](value);
}

/** Returns the digest of the first `count` messages, in their cycle; `count` must never decrease. */
export function expected(task, messages) {
  const values = messages.map((message) => valueOf(task, message));
  let done = 0;
  let digest = 0;
  return (count) => {
    for (; done < count; done += 1) digest = step(digest, values[done % POOL]);
    return digest;
  };
}
