/** Converts messages to text or bytes, and back. Each function may return a promise; messages keep their order. */
export interface Codec<Out = unknown, In = unknown> {
  /** `send` throws what this throws. The result is copied or kept when the call returns. */
  encode(message: Out): string | BufferSource | Blob | Promise<string | BufferSource | Blob>;
  /** If it throws, an `invalid` event reports the message. */
  decode(data: string | ArrayBuffer): In | Promise<In>;
}

/**
 * JSON in text messages, using `JSON.stringify` and `JSON.parse`. A message that JSON cannot represent (`undefined`, a
 * function, a symbol, NaN, an infinity, a BigInt) is refused. Inside a message such values are treated as
 * `JSON.stringify` does: a field that is `undefined` is left out, and NaN is sent as `null`.
 */
export const json: {
  encode(message: unknown): string;
  decode<In = unknown>(data: string | ArrayBuffer): In;
};
