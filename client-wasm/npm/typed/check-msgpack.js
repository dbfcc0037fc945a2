// Checks MessagePack before it is decoded. The library trusts every length that it reads, so a few bytes of nested
// headers could make it allocate gigabytes; and it rounds integers that a number cannot represent.

/** Fixed-size types: how many bytes follow the type byte. */
// biome-ignore format: a table.
const FIXED = new Map([
  // nil, false, true
  [0xc0, 0], [0xc2, 0], [0xc3, 0],
  // float 32 and 64, unsigned and signed integers
  [0xca, 4], [0xcb, 8], [0xcc, 1], [0xcd, 2], [0xce, 4], [0xcf, 8], [0xd0, 1], [0xd1, 2], [0xd2, 4], [0xd3, 8],
  // extensions of 1 to 16 bytes, each after its own type byte
  [0xd4, 2], [0xd5, 3], [0xd6, 5], [0xd7, 9], [0xd8, 17],
]);

/** Bytes preceded by their length: `[bytes of the length, extra bytes beyond it]`. */
// biome-ignore format: a table.
const SIZED = new Map([
  // binary
  [0xc4, [1, 0]], [0xc5, [2, 0]], [0xc6, [4, 0]],
  // extensions
  [0xc7, [1, 1]], [0xc8, [2, 1]], [0xc9, [4, 1]],
  // strings
  [0xd9, [1, 0]], [0xda, [2, 0]], [0xdb, [4, 0]],
]);

/** Lists and maps preceded by their length: `[bytes of the length, values per entry]`. */
const COUNTED = new Map([
  [0xdc, [2, 1]],
  [0xdd, [4, 1]],
  [0xde, [2, 2]],
  [0xdf, [4, 2]],
]);

const UNSIGNED_64 = 0xcf;
const SIGNED_64 = 0xd3;

/**
 * Checks that there is exactly one complete value, with nothing after it.
 *
 * @param options.maxDepth - how deeply lists and maps may be nested
 * @param options.anyInt64 - whether integers may exceed what a number represents
 * @returns `undefined`, or what is wrong with it, without quoting it
 */
export function checkMsgpack(view, { maxDepth, anyInt64 }) {
  const { byteLength } = view;
  /** How many values each open list or map still needs, outermost first. */
  const open = [];
  let offset = 0;
  for (;;) {
    const start = offset;
    if (offset >= byteLength) return 'it ends too early';
    const type = view.getUint8(offset);
    const head = header(view, type, offset + 1);
    if (head === undefined) return `the type at byte ${start} does not exist`;
    const { size, values } = head;
    offset += 1 + size;
    if (offset > byteLength) return 'it ends too early';
    if (!anyInt64 && !holdsSafely(view, type, start + 1)) {
      return `the integer at byte ${start} is beyond what a number holds; createMsgpack({ int64: 'bigint' }) takes it`;
    }
    if (values > 0) {
      if (open.length === maxDepth) return `it is nested deeper than ${maxDepth} levels at byte ${start}`;
      open.push(values);
      continue;
    }
    while (open.length > 0) {
      open[open.length - 1] -= 1;
      if (open[open.length - 1] > 0) break;
      open.pop();
    }
    if (open.length === 0) return offset < byteLength ? `there is more behind its end, at byte ${offset}` : undefined;
  }
}

/** How many bytes follow a type byte, and then how many values; `undefined` if there is no such type. */
function header(view, type, offset) {
  // 0x00 and up: small integers, maps, lists, strings; 0xe0 and up: small negative integers.
  if (type < 0x80 || type >= 0xe0) return { size: 0, values: 0 };
  if (type < 0x90) return { size: 0, values: (type & 0x0f) * 2 };
  if (type < 0xa0) return { size: 0, values: type & 0x0f };
  if (type < 0xc0) return { size: type & 0x1f, values: 0 };
  if (FIXED.has(type)) return { size: FIXED.get(type), values: 0 };
  if (SIZED.has(type)) {
    const [width, more] = SIZED.get(type);
    return { size: width + more + unsigned(view, offset, width), values: 0 };
  }
  if (COUNTED.has(type)) {
    const [width, each] = COUNTED.get(type);
    return { size: width, values: each * unsigned(view, offset, width) };
  }
  return undefined;
}

/** An unsigned integer; 0 if the message ends too early, which the size check detects. */
function unsigned(view, offset, width) {
  if (offset + width > view.byteLength) return 0;
  if (width === 1) return view.getUint8(offset);
  return width === 2 ? view.getUint16(offset) : view.getUint32(offset);
}

/** Whether a number can represent this value, if it is a 64-bit integer. */
function holdsSafely(view, type, offset) {
  if (type === UNSIGNED_64) return view.getBigUint64(offset) <= BigInt(Number.MAX_SAFE_INTEGER);
  if (type !== SIGNED_64) return true;
  const value = view.getBigInt64(offset);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
}
