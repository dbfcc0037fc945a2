// Errors of typed messages, with codes. No error quotes a payload in its message, or keeps one in a property that a log
// would print: payloads are behind getters.

/** The prefix of every error. */
export const CLASS = 'TypedSocket';

/** The deepest nesting of lists and objects in a message, as in Rust and on the server. */
export const MAX_DEPTH = 127;

/** Any error of a `TypedSocket`; `code` identifies it. */
export class TypedSocketError extends Error {
  constructor(code, message) {
    super(`${CLASS}: ${message}`);
    this.code = code;
  }

  static {
    this.prototype.name = 'TypedSocketError';
  }
}

/** A message that could not be decoded or encoded, or that a schema rejected. */
export class MessageError extends TypedSocketError {
  #details;

  constructor(code, message, { issues = [], data, thrown } = {}) {
    super(code, message);
    this.#details = { issues, data, thrown };
  }

  get issues() {
    return this.#details.issues;
  }

  get data() {
    return this.#details.data;
  }

  get thrown() {
    return this.#details.thrown;
  }

  /** Attaches what was received. */
  about(data) {
    this.#details.data = data;
    return this;
  }

  static {
    this.prototype.name = 'MessageError';
  }
}

/** The connection is over, and no new one follows by itself. */
export class ClosedError extends TypedSocketError {
  #close;

  /** @param close - the last `close` event, if it has been dispatched */
  constructor(code, close = null) {
    super(code, code === 'lost' ? `the connection was lost: ${phrase(close)}` : 'it was closed');
    this.#close = close;
  }

  get close() {
    return this.#close;
  }

  get explanation() {
    return this.#close?.explanation ?? null;
  }

  static {
    this.prototype.name = 'ClosedError';
  }
}

/** Without the server's reason and the explanation, which may quote the server or a URL. */
function phrase({ code, cause }) {
  return `close code ${code}, cause ${cause}`;
}

/** Messages arrived faster than they were read. */
export class OverflowError extends TypedSocketError {
  constructor({ messages, bytes }) {
    super(
      'inbox-full',
      `messages arrived faster than they were read, and no more than ${messages} messages or ${bytes} bytes may wait`,
    );
  }

  static {
    this.prototype.name = 'OverflowError';
  }
}
