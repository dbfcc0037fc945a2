// What travels in a session, as a client reads and writes it: see docs/sessions-protocol.md. Rust knows frames by their
// numbers (`src/session/frames.rs`); messages stay JavaScript values.

import { Message } from './message.js';
import { BYTES_SENT, MESSAGES_SENT } from './names.js';

/** The characters that start a frame of the protocol, in text and in bytes. */
const MARK = 0x7e;
const BINARY_MARK = 0xc1;

/** How an end writes its frames. */
export const STYLES = Object.freeze({ json: 0, text: 1, binary: 2 });

/**
 * The results of {@link sortFrame}; the frames of {@link WORDS} follow. `BATCH` is one of texts, `BYTES` one of bytes. A
 * message alone is a negative number, which has its size.
 */
const [MALFORMED, ESCAPED, BATCH, BYTES, UNKNOWN, FRAMES] = [-1, 0, 1, 2, 3, 4];

/** The words of frames. */
const WORDS = 'skip q r e x c d v a g w stalled credential hello welcome end'.split(' ');
/** Of those up to `stalled`, how many numbers follow. The first of them counts from 1, except in an acknowledgement. */
const NUMBERS = [1, 0, 2, 2, 2, 1, 0, 0, 2, 1, 1, 1];
const [REFUSED, AWAITED_MESSAGE, ACK, CREDENTIAL, HELLO, END] = [4, 6, 8, 12, 13, 15];
/** Those with a payload. */
const CARRIES = 'qrexdv';

const REASONS = ['handler', 'limit', 'cancelled', 'failed', 'other'];
const OUTCOMES = ['fresh', 'continued', 'replayed', 'lost'];
const LOSSES = ['expired', 'unknown', 'full', 'refused', 'out-of-step', 'other'];

/** The fields of a welcome, those that count from 1 with a `+`, and of a hello. */
const WELCOMES = 'epoch+ owner received handled first+ sent messages+ bytes+ message+ requests window';
const HELLOS = 'attempt epoch received handled first sent messages bytes message requests age';

/** A value of a batch that was decoded with it. */
export class Decoded {
  #batch;
  #index;

  constructor(value, byteLength, batch, index) {
    this.value = value;
    this.byteLength = byteLength;
    this.#batch = batch;
    this.#index = index;
  }

  /** What was received. */
  get text() {
    return split(this.#batch)[this.#index];
  }
}

// --- Reading ------------------------------------------------------------------------------------------------------

/** What was read last: its numbers and its messages. A number that is missing or malformed is NaN. */
let parts = [];
let messages = [];

export function partOf(index) {
  return parts[index];
}

export function messageAt(index) {
  return messages[index];
}

export function sortFrame(host, data) {
  const isText = typeof data === 'string';
  if (isText && data.charCodeAt(0) !== MARK) return alone(data.length, 0);
  if (!isText && !(data instanceof ArrayBuffer)) return alone(0, 1);
  const view = isText ? undefined : new Uint8Array(data, 0, Math.min(data.byteLength, 2));
  if (view && view[0] !== BINARY_MARK) return alone(data.byteLength, 1);
  if (view ? view[1] === BINARY_MARK : data.charCodeAt(1) === MARK) {
    messages = [data.slice(1)];
    return ESCAPED;
  }
  // A head without names is shorter than this.
  const head = isText ? data : latin(data.slice(0, 64));
  const [, word] = /^.([^ ]*)/s.exec(head);
  if (/^[bs]$/i.test(word)) return isText ? sortArray(host.session, data) : sortBytes(data, head);
  const kind = WORDS.indexOf(word);
  if (kind < 0) return UNKNOWN;
  if (kind < HELLO) sortHead(kind, data, head, 1 + word.length);
  else sortFields(kind, isText ? data : latin(data));
  return parts.some(Number.isNaN) ? MALFORMED : FRAMES + kind;
}

/** A message that is no frame, of so many bytes: 0 for text, 1 for bytes. */
function alone(size, kind) {
  return -2 - kind - 2 * Math.min(size, 2 ** 30 - 2);
}

/** One character for each byte. */
function latin(bytes) {
  return new TextDecoder('latin1').decode(bytes);
}

/** A number as frames have it; NaN if it is malformed. */
function numberOf(text, least = 0) {
  const number = /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : NaN;
  return number >= least && Number.isSafeInteger(number) ? number : NaN;
}

/** The numbers at this place of a head, and the place behind them. */
function numbersAt(head, at, count, least) {
  parts = [];
  let end = at;
  for (let left = count; left > 0; left -= 1) {
    const [found, digits] = / (\d+)/y.exec(head.slice(end, end + 18)) ?? [' '];
    parts.push(numberOf(digits, parts.length === 0 ? least : 0));
    end += found.length;
  }
  return end;
}

function sortHead(kind, data, head, at) {
  const end = numbersAt(head, at, NUMBERS[kind] ?? 0, Number(kind !== ACK));
  if (kind < CREDENTIAL && !CARRIES.includes(WORDS[kind])) {
    if (end !== (data.length ?? data.byteLength)) parts.push(NaN);
    return;
  }
  if (head[end] !== ' ') parts.push(NaN);
  const payload = data.slice(end + 1);
  messages = [payload];
  if (kind === REFUSED) {
    const reason = REASONS.indexOf(typeof payload === 'string' ? payload : latin(payload));
    parts.push(reason < 0 ? REASONS.length - 1 : reason);
  }
}

function sortFields(kind, head) {
  const fields = new Map();
  for (const word of head.split(' ')) {
    const [, name, value] = /^(.*?)=(.*)$/s.exec(word) ?? [];
    // None of them may be there twice.
    fields.set(name, fields.has(name) ? null : value);
  }
  const get = (name, least) => numberOf(fields.get(name), least);
  const getOptional = (name) => (fields.has(name) ? get(name) : -1);
  const one = (name, all, other) => {
    const value = fields.get(name);
    const index = all.indexOf(value);
    if (index >= 0) return index;
    return typeof value === 'string' ? other : NaN;
  };
  parts = /^.[\0-\x7f]*$/s.test(head) ? [] : [NaN];
  if (kind === HELLO) return;
  if (kind === END) {
    parts.push(get('sent'), get('was-handled'), ...verdictOf(fields, get));
    return;
  }
  const outcome = one('outcome', OUTCOMES, NaN);
  parts.push(outcome);
  for (const name of WELCOMES.split(' ')) parts.push(get(name.replace('+', ''), Number(name.endsWith('+'))));
  parts.push(getOptional('beat'));
  const back = fields.has('return')
    ? String(fields.get('return'))
        .split('-')
        .map((text) => numberOf(text))
    : [-1, -1];
  parts.push(...(back.length === 2 && back[0] <= back[1] ? back : [NaN, NaN]));
  if (OUTCOMES[outcome] === 'replayed') parts.push(get('replay', 1));
  if (OUTCOMES[outcome] !== 'lost') return;
  parts.push(one('why', LOSSES, LOSSES.length - 1), getOptional('was-handled'));
  if (fields.has('was-handled')) parts.push(...verdictOf(fields, get));
}

/** What was given and received, and the ranges that were handled beyond. */
function verdictOf(fields, get) {
  const numbers = [get('was-given'), get('was-received')];
  let last = get('was-handled');
  for (const item of fields.has('was-also') ? String(fields.get('was-also')).split(',') : []) {
    const [from, to = from, ...more] = item.split('-').map((text) => numberOf(text));
    numbers.push(from > last && more.length === 0 ? from : NaN, to >= from ? to : NaN);
    last = to;
  }
  return numbers;
}

/** The numbers of a batch; returns where its messages begin. */
function sortBatch(head) {
  const acknowledges = /[BS]/.test(head[1]);
  const end = numbersAt(head, 2, acknowledges ? 2 : 1, 1);
  parts = [parts[0], acknowledges ? parts[1] : -1];
  return end;
}

function sortArray(session, data) {
  const isText = /s/i.test(data[1]);
  const elements = data.slice(sortBatch(data));
  if (parts.some(Number.isNaN) || elements[0] !== '[') return MALFORMED;
  try {
    const values = JSON.parse(elements);
    if (isText) {
      // Half of a surrogate pair is no text.
      if (!values.every((value) => typeof value === 'string' && !/\p{Cs}/u.test(value))) return MALFORMED;
      messages = values;
    } else if (session.style === STYLES.json) {
      const each = Math.floor(elements.length / values.length);
      // The array is one level more.
      messages = isDeeper(elements, session.maxDepth + 1)
        ? // The codec refuses it, as it refuses one that travels alone.
          split(elements)
        : values.map((value, index) => new Decoded(value, each, elements, index));
    } else {
      messages = split(elements);
    }
  } catch {
    // One bad element spoils only itself.
    if (isText) return MALFORMED;
    messages = split(elements);
  }
  return sorted(BATCH, elements.length);
}

/** A batch of so many bytes. */
function sorted(kind, bytes) {
  const count = messages?.length ?? 0;
  parts.push(count, bytes);
  return count > 0 && Number.isSafeInteger(parts[0] + (count - 1)) ? kind : MALFORMED;
}

/** Whether there are more levels of lists and objects. For most messages this costs less than to look at their values. */
function isDeeper(text, levels) {
  let depth = 0;
  let isInText = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (isInText) {
      if (code === 0x22) isInText = false;
      else if (code === 0x5c) at += 1;
    } else if (code === 0x22) {
      isInText = true;
    } else if ((code | 0x20) === 0x7b) {
      // [ and {, which differ in this bit only; so do ] and }.
      depth += 1;
      if (depth > levels) return true;
    } else if ((code | 0x20) === 0x7d) {
      depth -= 1;
    }
  }
  return false;
}

/** Splits an array at the commas outside of all brackets and strings; `null` if it is none, or something is missing. */
function split(array) {
  const elements = [];
  let depth = 0;
  let start = 1;
  for (let at = 0; at < array.length; at += 1) {
    switch (array[at]) {
      case '"':
        at += 1;
        while (at < array.length && array[at] !== '"') at += array[at] === '\\' ? 2 : 1;
        if (at >= array.length) return null;
        break;
      case '[':
      case '{':
        depth += 1;
        break;
      case ']':
      case '}':
        depth -= 1;
        if (depth > 0) break;
        elements.push(array.slice(start, at).trim());
        return at === array.length - 1 && !elements.includes('') ? elements : null;
      case ',':
        if (depth !== 1) break;
        elements.push(array.slice(start, at).trim());
        start = at + 1;
        break;
      default:
    }
  }
  return null;
}

function sortBytes(data, head) {
  let at = sortBatch(head) + 1;
  if (/s/i.test(head[1]) || head[at - 1] !== ' ' || parts.some(Number.isNaN)) return MALFORMED;
  const view = new Uint8Array(data);
  messages = [];
  while (at < view.length) {
    let length = 0;
    let shift = 0;
    let byte;
    do {
      byte = view[at];
      if (byte === undefined || shift > 28) return MALFORMED;
      length += (byte & 0x7f) * 2 ** shift;
      shift += 7;
      at += 1;
    } while (byte & 0x80);
    if ((byte === 0 && shift > 7) || length >= 2 ** 32 || at + length > view.length) return MALFORMED;
    messages.push(data.slice(at, at + length));
    at += length;
  }
  return sorted(BYTES, view.length);
}

// --- Writing ------------------------------------------------------------------------------------------------------

/** The data of a message that is sent or has arrived. */
function dataOf(message) {
  return message instanceof Message ? message.data : message;
}

export function kindOf(message) {
  return typeof dataOf(message) === 'string' || message instanceof Decoded ? 0 : 1;
}

export function sizeOf(message) {
  if (message instanceof Message) return message.bytes;
  return typeof message === 'string' ? message.length : message.byteLength;
}

export function loneFrame(host, message) {
  countSent(host, message);
  const data = dataOf(message);
  if (typeof data === 'string') return data.charCodeAt(0) === MARK ? `~${data}` : data;
  const view = new Uint8Array(data);
  return view[0] === BINARY_MARK ? joined([BINARY_MARK], view) : data;
}

function joined(head, view) {
  const both = new Uint8Array(head.length + view.length);
  both.set(head);
  both.set(view, head.length);
  return both.buffer;
}

/** A message that is replayed counts again: the socket has accepted it again. */
function countSent({ counts }, message) {
  counts[MESSAGES_SENT] += 1;
  counts[BYTES_SENT] += sizeOf(message);
}

/** The messages and the numbers of the frame that is being written. */
let batch = [];
let numbers = [];

export function batchAdd(host, message) {
  countSent(host, message);
  batch.push(dataOf(message));
}

export function addNumber(number) {
  numbers.push(number);
}

/** What was gathered for a frame. */
function gathered() {
  const all = numbers;
  numbers = [];
  return all;
}

/** The batch of the messages that were added; its numbers are its first and, if it has one, its acknowledgement. */
export function batchFrame(host) {
  const all = batch;
  batch = [];
  const head = gathered();
  const numbered = (plain) => `${head.length > 1 ? plain.toUpperCase() : plain} ${head.join(' ')}`;
  if (typeof all[0] === 'string') {
    const isJson = host.session.style === STYLES.json;
    return isJson ? `~${numbered('b')}[${all.join(',')}]` : `~${numbered('s')}${JSON.stringify(all)}`;
  }
  const pieces = [marked(`${numbered('b')} `)];
  for (const data of all) {
    const length = [];
    let rest = data.byteLength;
    while (rest >= 0x80) {
      length.push((rest & 0x7f) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    length.push(rest);
    pieces.push(Uint8Array.from(length), new Uint8Array(data));
  }
  const frame = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    frame.set(piece, at);
    at += piece.length;
  }
  return frame.buffer;
}

/** A frame of bytes, up to its payload. */
function marked(head) {
  const bytes = new TextEncoder().encode(` ${head}`);
  bytes[0] = BINARY_MARK;
  return bytes;
}

/** A frame of this kind, with what was gathered. `text` is what it says besides numbers. */
export function writeFrame(host, kind, text, payload) {
  const word = WORDS[kind];
  const head = [word, ...(kind < HELLO ? gathered() : namedNumbers(kind, text))];
  if (kind === REFUSED) head.push(REASONS[head.pop()]);
  if (kind === CREDENTIAL) head.push(text);
  if (kind === AWAITED_MESSAGE) countSent(host, payload);
  const carries = payload !== undefined;
  const written = head.join(' ') + (carries ? ' ' : '');
  const data = dataOf(payload);
  if (carries ? typeof data === 'string' : host.session.style !== STYLES.binary) return `~${written}${data ?? ''}`;
  return carries ? joined(marked(written), new Uint8Array(data)) : marked(written).buffer;
}

/** The fields of a hello or an end. */
function namedNumbers(kind, text) {
  const all = gathered();
  if (kind === HELLO) {
    const [secret, credential] = text.split(' ');
    const fields = HELLOS.split(' ').map((name, index) => `${name}=${all[index]}`);
    return [`secret=${secret}`, ...fields, ...(credential ? [`credential=${credential}`] : [])];
  }
  const [sent, handled, given, received, ...also] = all;
  const ranges = [];
  for (let at = 0; at < also.length; at += 2) {
    ranges.push(also[at] === also[at + 1] ? also[at] : `${also[at]}-${also[at + 1]}`);
  }
  return [
    `sent=${sent} was-handled=${handled}`,
    ...(ranges.length > 0 ? [`was-also=${ranges}`] : []),
    `was-given=${given} was-received=${received}`,
  ];
}
