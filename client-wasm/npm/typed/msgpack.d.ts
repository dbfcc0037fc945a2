/** A codec for MessagePack. */
export interface Msgpack {
  /** Gives a `Uint8Array`, in the words that the compiler's version has for one whose memory is not shared. */
  encode(message: unknown): ReturnType<TextEncoder['encode']>;
  decode<In = unknown>(data: string | ArrayBuffer): In;
}

export interface MsgpackOptions {
  /**
   * What integers are that MessagePack holds in 64 bits. `number`: numbers, and a message with one beyond
   * ±(2^53 − 1) cannot be decoded. `bigint`: always BigInt, and a BigInt can be sent; whole numbers beyond 32 bits
   * are then sent as floating point.
   * @default 'number'
   */
  int64?: 'number' | 'bigint' | undefined;
}

/** A codec with options. */
export function createMsgpack(options?: MsgpackOptions | null | undefined): Msgpack;

/**
 * MessagePack in binary messages: objects as maps with their names as keys, `Uint8Array` as bytes, `Date` as a
 * timestamp. Nested deeper than 127 levels, a message is neither sent nor taken.
 */
export const msgpack: Msgpack;
