// Messages as MessagePack in binary frames, using the library @msgpack/msgpack, which is bundled with this package.

import { checkMsgpack } from './check-msgpack.js';
import { CLASS, MAX_DEPTH, MessageError } from './errors.js';
import { Decoder, Encoder } from './vendor/msgpack.js';
import { dictionary, toNumber } from '../wasm/steady_socket_wasm.js';

const INT64 = ['number', 'bigint'];

export function createMsgpack(options = undefined) {
  const { int64 = 'number' } = dictionary(CLASS, options, 'the options of createMsgpack', ['int64']);
  const useBigInt64 =
    toNumber(CLASS, { name: 'int64', kind: 'choice', choices: INT64 }, int64) === INT64.indexOf('bigint');
  // The library also counts the values in the innermost list or map.
  const encoder = new Encoder({ useBigInt64, maxDepth: MAX_DEPTH + 1 });
  const decoder = new Decoder({ useBigInt64 });
  return Object.freeze({
    encode(message) {
      // The library would encode it as nil.
      if (message === undefined) throw new MessageError('encode-failed', 'undefined has no form in MessagePack');
      return encoder.encode(message);
    },

    decode(data) {
      if (typeof data === 'string')
        throw new MessageError('decode-failed', 'the message is text, and MessagePack is taken as binary');
      const problem = checkMsgpack(new DataView(data), { maxDepth: MAX_DEPTH, anyInt64: useBigInt64 });
      if (problem) throw new MessageError('decode-failed', `the message is not taken as MessagePack: ${problem}`);
      try {
        return decoder.decode(data);
      } catch (thrown) {
        // A key that is neither string nor number, or that could change a prototype; the library's message may quote
        // it.
        throw new MessageError('decode-failed', 'the message has something that is not taken from MessagePack', {
          thrown,
        });
      }
    },
  });
}

export const msgpack = createMsgpack();
