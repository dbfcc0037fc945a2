// Text as it goes over the wire: UTF-8, in which a lone surrogate is U+FFFD.

/** The longest reason that fits in a Close frame, in bytes of UTF-8. */
export const LONGEST_REASON = 123;

export function wellFormed(text) {
  return text.replaceAll(/\p{Surrogate}/gu, '\ufffd');
}

/** Its length in bytes. */
export function utf8Length(text) {
  let bytes = 0;
  for (const sign of text) {
    const point = sign.codePointAt(0);
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}
