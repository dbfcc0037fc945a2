/** How messages become text or bytes, and back. Each function may give a promise; messages keep their order. */
export interface Codec<Out = unknown, In = unknown> {
  /** What it throws is what `send` throws. Its result is copied, or kept, when the call is over. */
  encode(message: Out): string | BufferSource | Blob | Promise<string | BufferSource | Blob>;
  /** If it throws, the message is told in an `invalid` event. */
  decode(data: string | ArrayBuffer): In | Promise<In>;
}

/**
 * JSON in text messages, by `JSON.stringify` and `JSON.parse`. What JSON has no form for is refused if it is the
 * whole message (`undefined`, a function, a symbol, NaN, an infinity, a BigInt) and inside of one treated as
 * `JSON.stringify` treats it: a field that is `undefined` is left out, and NaN is sent as `null`.
 */
export const json: {
  encode(message: unknown): string;
  decode<In = unknown>(data: string | ArrayBuffer): In;
};
