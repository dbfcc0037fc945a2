// Messages as JSON in text frames.

import { MAX_DEPTH, MessageError } from './errors.js';

export const json = Object.freeze({
  encode(message) {
    // At the top level, `JSON.stringify` would turn these into nothing, or into another message.
    if (typeof message === 'number' && !Number.isFinite(message)) throw unencodable(String(message));
    const text = JSON.stringify(message);
    if (text === undefined) throw unencodable(message === undefined ? 'undefined' : `a ${typeof message}`);
    return text;
  },

  decode(data) {
    if (typeof data !== 'string')
      throw new MessageError('decode-failed', 'the message is binary, and JSON is taken as text');
    if (isTooDeep(data))
      throw new MessageError('decode-failed', `the message is nested deeper than ${MAX_DEPTH} levels`);
    try {
      return JSON.parse(data);
    } catch (thrown) {
      // The exception's message quotes the text.
      throw new MessageError('decode-failed', 'the message is not JSON', { thrown });
    }
  },
});

/** Whether lists and objects are nested too deeply. The text need not be JSON. */
function isTooDeep(text) {
  // Too short for that: skip the scan.
  if (text.length <= 2 * MAX_DEPTH) return false;
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    switch (text.charCodeAt(index)) {
      case 0x22: // "
        index = endOfString(text, index);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > MAX_DEPTH) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      default:
    }
  }
  return false;
}

/** The end of the string that begins at `start`; the end of the text if it is unterminated. */
function endOfString(text, start) {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === '\\') escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

function unencodable(what) {
  return new MessageError('encode-failed', `${what} has no form in JSON`);
}
