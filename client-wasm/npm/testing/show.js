// Messages: compared with what was expected, and shown in errors.

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
export function showAll(values) {
  if (values.length === 0) return 'no message';
  return `${values.length === 1 ? 'one message' : `${values.length} messages`}: ${values.map(show).join(', ')}`;
}

/** Whether a message is what was expected: a value of the same structure, a pattern, or a function that says so. */
export function matches(expected, message) {
  if (typeof expected === 'function') return Boolean(expected(message));
  if (expected instanceof RegExp) return typeof message === 'string' && expected.test(message);
  return equals(expected, message);
}

function equals(one, other) {
  if (Object.is(one, other)) return true;
  const [bytes, otherBytes] = [bytesOf(one), bytesOf(other)];
  if (bytes || otherBytes) {
    return Boolean(bytes && otherBytes) && bytes.length === otherBytes.length
      && bytes.every((byte, index) => byte === otherBytes[index]);
  }
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (one instanceof Date && other instanceof Date) return one.getTime() === other.getTime();
  if (one instanceof Map && other instanceof Map) return equals([...one], [...other]);
  if (one instanceof Set && other instanceof Set) return equals([...one], [...other]);
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [names, otherNames] = [one, other].map((value) => Object.keys(value));
  return names.length === otherNames.length
    && names.every((name) => Object.hasOwn(other, name) && equals(one[name], other[name]));
}

/** By their tags: a buffer may be of another realm, as it is in jest. */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]' ? new Uint8Array(value) : null;
}

export function isBlob(value) {
  return /^\[object (Blob|File)\]$/.test(Object.prototype.toString.call(value));
}
