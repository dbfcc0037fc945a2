// How long a message takes between JavaScript and Rust, by each of the ways that there are, in Chromium. After
// `cargo xtask test npm`, which builds the modules, this prints the table of docs/rust-types.md:
//
//     STEADY_SOCKET_TYPED_HELLO=target/typed-hello STEADY_SOCKET_EXPORT_MESSAGES=target/export-messages \
//         CHROMIUM=/usr/bin/chromium node tests/npm/export/bench.mjs
//
// Nothing is asserted: the figures are the machine's.

import { openModules } from './lib.mjs';

const { evaluate, close } = await openModules();
try {
  const { sizes, table } = await evaluate('the measurement', () => {
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
    /** The least of some batches, in microseconds a call: what else the machine does only adds to it. */
    const measure = (call, argument, calls) => {
      const batch = () => {
        const from = performance.now();
        for (let index = 0; index < calls; index += 1) call(argument);
        return ((performance.now() - from) * 1000) / calls;
      };
      batch();
      return Math.min(...Array.from({ length: 25 }, batch)).toFixed(2);
    };
    const received = {
      'JSON.parse alone': JSON.parse,
      'receive: Rust, JSON, JSON.parse': shapes.receiveByJson,
      'receive: Rust, property by property': shapes.receiveByProperties,
      'receive: JSON.parse, checked in Rust': shapes.receiveParsed,
    };
    const sent = {
      'JSON.stringify alone': JSON.stringify,
      'send: JSON.stringify, Rust': shapes.sendByJson,
      'send: property by property, Rust': shapes.sendByProperties,
    };
    const texts = Object.fromEntries(Object.entries(samples).map(([name, value]) => [name, JSON.stringify(value)]));
    const rowOf = (calls, arguments_) => Object.entries(calls).map(([way, call]) => (
      [way, measure(call, arguments_.small, 20_000), measure(call, arguments_.large, 100)]
    ));
    const lengths = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.length]));
    return { sizes: lengths, table: [...rowOf(received, texts), ...rowOf(sent, samples)] };
  });
  console.log(`| µs a message | ${sizes.small} characters | ${sizes.large} characters |\n|---|---|---|`);
  for (const row of table) console.log(`| ${row.join(' | ')} |`);
} finally {
  await close();
}
