// Messages as JSON in text messages.

import { MessageError } from './errors.js';

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
    try {
      return JSON.parse(data);
    } catch (thrown) {
      // Its message quotes the text.
      throw new MessageError('decode-failed', 'the message is not JSON', { thrown });
    }
  },
});

function unencodable(what) {
  return new MessageError('encode-failed', `${what} has no form in JSON`);
}
