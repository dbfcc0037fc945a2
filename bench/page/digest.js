// A digest that every contender computes over all messages, so that the harness can check that each one arrived,
// complete and in order.

/** The largest prime below 2^16: all values stay small integers, in JavaScript and in Rust. */
const MODULUS = 65_521;

/** The digest after one more message, with this value. */
export function step(digest, value) {
  return (digest * 31 + value) % MODULUS;
}

/** The value of a text: from its length and its first and last code units. */
export function textValue(text) {
  return text.length + text.charCodeAt(0) + text.charCodeAt(text.length - 1);
}

/** The same for bytes. */
export function bytesValue(bytes) {
  return bytes.length + bytes[0] + bytes[bytes.length - 1];
}

/** The value of a decoded message: from fields at its beginning and its end. */
export const shapeValues = {
  book: ({ sequence, bids, asks }) => sequence + bids.length + asks.length + asks[asks.length - 1][1],
  chat: ({ messages }) => {
    const last = messages[messages.length - 1];
    return messages.length + messages[0].text.length + last.id + last.likes;
  },
  note: ({ id, text }) => id + text.charCodeAt(0) + text.charCodeAt(text.length - 1),
};
