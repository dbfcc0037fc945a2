// The frames as `js/frames.js` reads and writes them, against the vectors of the protocol: protocol/vectors.json.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import * as frames from '../../../client-wasm/js/frames.js';

const vectors = JSON.parse(readFileSync(new URL('../../../protocol/vectors.json', import.meta.url), 'utf8'));

const MALFORMED = -1;
/** An escaped message, and two sorts of batches. */
const SORTS = ['message', 'batch', 'batch', 'unknown'];
const KINDS = [
  ['skip', 'count'],
  ['request'],
  ['response', 'request', 'handled'],
  ['error', 'request', 'handled'],
  ['refused', 'request', 'handled', 'why'],
  ['cancel', 'request'],
  ['awaited-message'],
  ['volatile'],
  ['ack', 'handled', 'sent'],
  ['got', 'number'],
  ['awaited', 'number'],
  ['stalled', 'number'],
  ['credential'],
  ['hello'],
  ['welcome', 'outcome', 'epoch', 'owner', 'received', 'handled', 'first', 'sent'],
  ['end', 'sent'],
];
const REASONS = ['handler', 'limit', 'cancelled', 'failed', 'other'];
const OUTCOMES = ['fresh', 'continued', 'replayed', 'lost'];
const LOSSES = ['expired', 'unknown', 'full', 'refused', 'out-of-step', 'other'];
const CARRY = ['request', 'response', 'error', 'awaited-message', 'volatile'];
const HELLO_NUMBERS = ['attempt', 'epoch', 'received', 'handled', 'first', 'sent'];
const LIMITS = ['messages', 'bytes', 'message', 'requests'];

const dataOf = ({ text, hex }) => text ?? Uint8Array.from(Buffer.from(hex, 'hex')).buffer;
const wireOf = (data) => (typeof data === 'string' ? { text: data } : { hex: Buffer.from(data).toString('hex') });
const hostOf = (style) => ({ session: { style, maxDepth: 100 }, counts: [] });

/** What the vectors say of a text that only a server sends or reads. */
const isForServers = ({ kind }) => kind === 'hello' || kind === 'credential';

const optional = (number) => (number < 0 ? null : number);

function verdictAt(handled, from) {
  const [given, received] = [frames.partOf(from), frames.partOf(from + 1)];
  const also = [];
  for (let at = from + 2; frames.partOf(at) >= 0; at += 2) also.push([frames.partOf(at), frames.partOf(at + 1)]);
  return { handled: frames.partOf(handled), also, given, received };
}

/** What Rust makes of a frame, in the words of the vectors. */
function read(data, style) {
  const sort = frames.sortFrame(hostOf(style), data);
  if (sort === MALFORMED) return null;
  // By itself, with its size and kind.
  if (sort < MALFORMED) {
    const [isBytes, size] = [(-2 - sort) % 2 === 1, Math.floor((-2 - sort) / 2)];
    assert.deepEqual([isBytes, size], [typeof data !== 'string', data.length ?? data.byteLength]);
    return { kind: 'message', payload: wireOf(data) };
  }
  if (sort < SORTS.length) {
    const kind = SORTS[sort];
    if (sort === 0) return { kind, payload: wireOf(frames.messageAt(0)) };
    if (sort === 3) return { kind };
    const messages = Array.from({ length: frames.partOf(2) }, (_, index) => wireOf(frames.messageAt(index)));
    return { kind, first: frames.partOf(0), handled: optional(frames.partOf(1)), messages };
  }
  const [kind, ...names] = KINDS[sort - SORTS.length];
  const frame = { kind };
  for (const [index, name] of names.entries()) frame[name] = frames.partOf(index);
  if (kind === 'refused') frame.why = REASONS[frame.why];
  if (CARRY.includes(kind)) frame.payload = wireOf(frames.messageAt(0));
  if (kind === 'end') frame.verdict = verdictAt(1, 2);
  if (kind === 'welcome') {
    frame.outcome = OUTCOMES[frame.outcome];
    frame.limits = Object.fromEntries(LIMITS.map((name, index) => [name, frames.partOf(7 + index)]));
    frame.window = frames.partOf(11);
    frame.beat = optional(frames.partOf(12));
    frame.return = frames.partOf(13) < 0 ? null : [frames.partOf(13), frames.partOf(14)];
    if (frame.outcome === 'replayed') frame.outcome = { replayed: frames.partOf(15) };
    if (frame.outcome === 'lost') {
      const verdict = frames.partOf(16) < 0 ? null : verdictAt(16, 17);
      frame.outcome = { lost: LOSSES[frames.partOf(15)], verdict };
    }
  }
  return frame;
}

/** Writes a frame of the vectors, as Rust has it written. */
function write(frame, style) {
  const host = hostOf(style);
  const { kind } = frame;
  if (kind === 'message') return frames.loneFrame(host, dataOf(frame.payload));
  if (kind === 'batch') {
    for (const message of frame.messages) frames.batchAdd(host, dataOf(message));
    frames.addNumber(frame.first);
    if (frame.handled !== null) frames.addNumber(frame.handled);
    return frames.batchFrame(host);
  }
  const index = KINDS.findIndex(([name]) => name === kind);
  const [, ...names] = KINDS[index];
  let text;
  const add = (all) => all.forEach(frames.addNumber);
  if (kind === 'hello') {
    text = [frame.secret, ...(frame.credential === null ? [] : [frame.credential])].join(' ');
    add([...HELLO_NUMBERS.map((name) => frame[name]), ...LIMITS.map((name) => frame.limits[name]), frame.age]);
  } else if (kind === 'end') {
    const { handled, given, received, also } = frame.verdict;
    add([frame.sent, handled, given, received, ...also.flat()]);
  } else {
    add(names.map((name) => (name === 'why' ? REASONS.indexOf(frame.why) : frame[name])));
    if (kind === 'credential') text = frame.value;
  }
  return frames.writeFrame(host, index, text, frame.payload && dataOf(frame.payload));
}

describe('frames', () => {
  test('every frame of the vectors is read as they say', () => {
    for (const { wire, frame } of vectors.frames) {
      // The layer below reads control messages.
      if (isForServers(frame) || frame.kind === 'control') continue;
      assert.deepEqual(read(dataOf(wire), frames.STYLES.text), frame, JSON.stringify(wire));
    }
  });

  test('every malformed frame of the vectors is refused', () => {
    for (const { wire, kind } of vectors.malformed) {
      if (isForServers({ kind })) continue;
      assert.equal(read(dataOf(wire), frames.STYLES.text), null, JSON.stringify(wire));
    }
  });

  test('of what only a client sends, a client knows the kind alone', () => {
    const all = vectors.frames.filter(({ frame }) => isForServers(frame));
    assert.ok(all.length > 0);
    for (const { wire, frame } of all) assert.equal(read(dataOf(wire), frames.STYLES.text)?.kind, frame.kind);
  });

  test('every frame of the vectors that a client sends is written as they say', () => {
    let count = 0;
    for (const { wire, frame, canonical } of vectors.frames) {
      if (!canonical || ['welcome', 'control', 'unknown'].includes(frame.kind)) continue;
      const isList = wire.text && /^~[bB]/.test(wire.text);
      const style = wire.text === undefined ? frames.STYLES.binary : frames.STYLES[isList ? 'json' : 'text'];
      assert.deepEqual(wireOf(write(frame, style)), wire);
      count += 1;
    }
    assert.ok(count > 20, `${count}`);
  });

  test('numbers beyond the largest, and batches that reach beyond it, are refused', () => {
    const most = Number.MAX_SAFE_INTEGER;
    for (const text of [`~g ${most}`, `~b ${most}[1]`, `~a ${most} ${most}`]) {
      assert.notEqual(read(text, frames.STYLES.text), null, text);
    }
    for (const text of [`~g ${most + 1}`, `~b ${most}[1,2]`, `~b ${most + 1}[1]`, '~g 10000000000000000']) {
      assert.equal(read(text, frames.STYLES.text), null, text);
    }
  });

  test('a large payload in bytes is taken as it is', () => {
    const payload = new Uint8Array(1_048_576).fill(0x20);
    const wire = new Uint8Array([0xc1, ...Buffer.from('r 1 2 '), ...payload]).buffer;
    const frame = read(wire, frames.STYLES.binary);
    assert.equal(frame.kind, 'response');
    assert.equal(frame.payload.hex.length, 2 * payload.length);
  });
});
