// Compares messages with expectations, and shows them in errors.

/** How much of a message an error shows. */
const LONGEST = 200;

/** A message as a line. */
export function show(value) {
  const text = shown(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text;
}

function shown(value) {
  if (value === undefined) return 'undefined';
  if (typeof value === 'function') return value.name ? `what ${value.name} accepts` : 'what the function accepts';
  if (value instanceof RegExp) return `text that matches ${value}`;
  if (typeof value === 'bigint') return `${value}n`;
  const bytes = bytesOf(value);
  if (bytes) return `${bytes.length} bytes [${bytes.subarray(0, 32).join(' ')}${bytes.length > 32 ? ' …' : ''}]`;
  if (isBlob(value)) return `a Blob of ${value.size} bytes`;
  try {
    return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part)) ?? String(value);
  } catch {
    return String(value);
  }
}

/** Several messages as a line. */
export function showAll(messages) {
  if (messages.length === 0) return 'no message';
  return `${messages.length === 1 ? 'one message' : `${messages.length} messages`}: ${messages.join(', ')}`;
}

/** Whether a message is as expected: equal in structure to a value, matched by a pattern, or accepted by a function. */
export function matches(expected, message) {
  if (typeof expected === 'function') return Boolean(expected(message));
  if (expected instanceof RegExp) return typeof message === 'string' && message.search(expected) >= 0;
  return equals(expected, message);
}

function equals(one, other) {
  if (Object.is(one, other)) return true;
  const [bytes, otherBytes] = [bytesOf(one), bytesOf(other)];
  if (bytes || otherBytes) {
    return (
      Boolean(bytes && otherBytes) &&
      bytes.length === otherBytes.length &&
      bytes.every((byte, index) => byte === otherBytes[index])
    );
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  const [tag, otherTag] = [tagOf(one), tagOf(other)];
  // A Blob's content is not available synchronously.
  if (tag !== otherTag || isBlob(one)) return false;
  if (isDate(one)) return Object.is(Number(one), Number(other));
  if (tag === '[object Map]' || tag === '[object Set]') return equals([...one], [...other]);
  const [names, otherNames] = [one, other].map((value) => Object.keys(value));
  return (
    names.length === otherNames.length &&
    names.every((name) => Object.hasOwn(other, name) && equals(one[name], other[name]))
  );
}

/** By tag: in jest, a buffer may belong to another realm. */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return tagOf(value) === '[object ArrayBuffer]' ? new Uint8Array(value) : null;
}

function tagOf(value) {
  return Object.prototype.toString.call(value);
}

/** Accepts the classes that fake timers put in its place, too. */
export function isDate(value) {
  return tagOf(value) === '[object Date]';
}

export function isBlob(value) {
  return /^\[object (Blob|File)\]$/.test(tagOf(value));
}
