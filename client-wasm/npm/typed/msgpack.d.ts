/** A codec for MessagePack. */
export interface Msgpack {
  /** Returns a `Uint8Array`; this type means one without shared memory in every version of the compiler. */
  encode(message: unknown): ReturnType<TextEncoder['encode']>;
  decode<In = unknown>(data: string | ArrayBuffer): In;
}

export interface MsgpackOptions {
  /**
   * How to decode 64-bit integers. `number`: as numbers; a message with one beyond ±(2^53 − 1) cannot be decoded.
   * `bigint`: always as BigInt, and a BigInt can be sent; whole numbers beyond 32 bits are then sent as floating point.
   * @default 'number'
   */
  int64?: 'number' | 'bigint' | undefined;
}

/** A codec with options. */
export function createMsgpack(options?: MsgpackOptions | null | undefined): Msgpack;

/**
 * MessagePack in binary messages: objects as maps with their names as keys, `Uint8Array` as bytes, `Date` as a
 * timestamp. A message nested deeper than 127 levels is neither sent nor accepted.
 */
export const msgpack: Msgpack;
