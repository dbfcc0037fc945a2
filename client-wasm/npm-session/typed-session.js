// `TypedSocket` with sessions.

import { json } from './typed/codec.js';
import { CLASS } from './typed/errors.js';
import { toValidator, validate } from './typed/schema.js';
import { TypedSocket as Plain, typed } from './typed/typed-socket.js';
import {
  Decoded,
  STYLES,
  deliverData,
  handleWith,
  needSession,
  reading,
  requestData,
} from './wasm/steady_socket_wasm.js';

/** The codec of a socket with a session: what a batch has decoded already passes. */
function decodingOnce(codec) {
  return {
    encode: (message) => codec.encode(message),
    decode: (data) => (data instanceof Decoded ? data.value : codec.decode(data)),
  };
}

export class TypedSocket extends Plain {
  constructor(url, options = undefined, ...rest) {
    const { session, codec = json } = options ?? {};
    const hasSession = session !== undefined && typeof codec?.decode === 'function';
    super(url, hasSession ? { ...options, codec: decodingOnce(codec) } : options, ...rest);
    if (!hasSession) return;
    Object.assign(needSession(this, 'the constructor'), {
      style: styleOf(codec),
      reads: () => typed.isReading(this),
      isBusy: () => typed.isBusy(this),
      encode: (message) => codec.encode(message),
      decode: (data) => codec.decode(data),
    });
    typed.onReading(this, () => reading(this));
  }

  async deliver(message, options = undefined) {
    needSession(this, 'deliver');
    await deliverData(this, await typed.encode(this, message), [message], options);
  }

  async request(message, options = undefined) {
    const { decode } = needSession(this, 'request');
    const { response, ...rest } = options ?? {};
    const validator = response === undefined ? undefined : toValidator('response', response);
    const answer = await requestData(this, await typed.encode(this, message), [message], rest, decode);
    return validator ? validate(validator, answer, 'the response') : answer;
  }

  handle(...given) {
    const handler = given.pop();
    const [schema] = given;
    const validator = schema === undefined ? undefined : toValidator('request', schema);
    handleWith(
      this,
      validator && typeof handler === 'function'
        ? async (request, context) => handler.call(this, await validate(validator, request, 'a request'), context)
        : handler,
    );
  }

  static {
    for (const name of ['deliver', 'request', 'handle']) {
      Object.defineProperty(this.prototype, name, { enumerable: true });
    }
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: CLASS, configurable: true });
  }
}

/** How frames are written with a codec. */
function styleOf(codec) {
  if (codec === json) return STYLES.json;
  try {
    return typeof codec.encode(0) === 'string' ? STYLES.text : STYLES.binary;
  } catch {
    // One that takes no numbers.
    return STYLES.text;
  }
}
