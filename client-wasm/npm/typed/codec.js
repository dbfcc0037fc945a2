// Messages as JSON in text messages.

import { MAX_DEPTH, MessageError } from './errors.js';

export const json = Object.freeze({
  encode(message) {
    // At the top `JSON.stringify` would make nothing, or another message, of these.
    if (typeof message === 'number' && !Number.isFinite(message)) throw unencodable(String(message));
    const text = JSON.stringify(message);
    if (text === undefined) throw unencodable(message === undefined ? 'undefined' : `a ${typeof message}`);
    return text;
  },

  decode(data) {
    if (typeof data !== 'string') throw new MessageError('decode-failed', 'the message is binary, and JSON is taken as text');
    if (isTooDeep(data)) throw new MessageError('decode-failed', `the message is nested deeper than ${MAX_DEPTH} levels`);
    try {
      return JSON.parse(data);
    } catch (thrown) {
      // Its message quotes the text.
      throw new MessageError('decode-failed', 'the message is not JSON', { thrown });
    }
  },
});

/** Whether lists and objects are nested deeper than they may be. It need not be JSON. */
function isTooDeep(text) {
  // Too short to be: nothing is looked at.
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

/** Where the string ends that begins at `start`; the end of the text if it does not. */
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
