// How long a message takes between JavaScript and Rust, by each available way, in Chromium. After `cargo xtask test
// npm`, which builds the modules, this prints the table of docs/rust-types.md:
//
//     STEADY_SOCKET_TYPED_HELLO=target/typed-hello STEADY_SOCKET_EXPORT_MESSAGES=target/export-messages \
//         CHROMIUM=/usr/bin/chromium node tests/npm/export/bench.mjs
//
// It asserts nothing: the figures depend on the machine.

import { openModules } from './lib.mjs';

const RECEIVED = [
  'JSON.parse alone',
  'receive: Rust, JSON, JSON.parse',
  'receive: Rust, property by property',
  'receive: JSON.parse, checked in Rust',
];
const SENT = ['JSON.stringify alone', 'send: JSON.stringify, Rust', 'send: property by property, Rust'];

/** The calls in a batch. */
const CALLS = { small: 20_000, large: 100 };

const { evaluate, close } = await openModules();
try {
  const lengths = await evaluate('the samples', () => {
    const { shapes } = globalThis;
    const row = (index) => ({
      id: index,
      name: `row number ${index}`,
      priceInCents: index * 1.5,
      active: index % 2 === 0,
      tags: ['a', 'bb', 'ccc'],
      parent: index % 3 === 0 ? null : index,
    });
    const samples = {
      small: { type: 'text', text: 'Hello Ada!' },
      large: { type: 'rows', rows: Array.from({ length: 200 }, (_, index) => row(index)) },
    };
    const texts = Object.fromEntries(Object.entries(samples).map(([name, value]) => [name, JSON.stringify(value)]));
    const ways = {
      'JSON.parse alone': [JSON.parse, texts],
      'receive: Rust, JSON, JSON.parse': [shapes.receiveByJson, texts],
      'receive: Rust, property by property': [shapes.receiveByProperties, texts],
      'receive: JSON.parse, checked in Rust': [shapes.receiveParsed, texts],
      'JSON.stringify alone': [JSON.stringify, samples],
      'send: JSON.stringify, Rust': [shapes.sendByJson, samples],
      'send: property by property, Rust': [shapes.sendByProperties, samples],
    };
    /** The minimum of several batches, in microseconds per call: other activity of the machine only adds to it. */
    globalThis.measure = (way, size, calls) => {
      const [call, { [size]: argument }] = ways[way];
      const batch = () => {
        const from = performance.now();
        for (let index = 0; index < calls; index += 1) call(argument);
        return ((performance.now() - from) * 1000) / calls;
      };
      batch();
      return Math.min(...Array.from({ length: 25 }, batch)).toFixed(2);
    };
    return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.length]));
  });
  console.log(`| µs a message | ${lengths.small} characters | ${lengths.large} characters |\n|---|---|---|`);
  for (const way of [...RECEIVED, ...SENT]) {
    const cells = [];
    // One by one: each has its own time limit.
    for (const [size, calls] of Object.entries(CALLS)) {
      cells.push(await evaluate(way, ([...given]) => globalThis.measure(...given), [way, size, calls]));
    }
    console.log(`| ${[way, ...cells].join(' | ')} |`);
  }
} finally {
  await close();
}
