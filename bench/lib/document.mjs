// Generates docs/benchmarks.md and the plots beside it.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { budgetTable, number } from './budgets.mjs';
import { figure, median, summary } from './statistics.mjs';
import { bars } from './svg.mjs';
import { betterFirst, byCase } from './tables.mjs';

/** Measured from start to end of one run, rather than repeatedly. */
const GROWING = /^(10,000 reconnects|a million messages)\/(?!rate)/;

const PARTS = {
  1: `## What a message costs in the page

Measured against a stub of \`WebSocket\` that dispatches a fresh event for every message, since the browser's own cost of a
frame hides everything else. Nanoseconds per message: the median, half the interquartile range, and, in parentheses, the
cost added to a bare \`WebSocket\` whose handler does the same work (for JSON and MessagePack: decoding and encoding).

Contenders receive messages by handler unless stated otherwise. \`typed handler\` and \`iteration\` are those of \`TypedSocket\`.
Contenders in Rust, peers included, read a stream unless a handler is named. A loop or a stream receives each message
before the next one comes. A \`note\` is one long text in an object, the worst case for WebAssembly: the text has to be
copied, where \`JSON.parse\` takes it whole.`,
  2: `## End to end over loopback

Connections to the hello server, in the same page. \`echo rate\` sends all messages at once, and the clock stops when the last
is back: messages per second, round trip. In \`rate in\` one message requests many, and the clock stops when the last has
arrived. \`rate out\` sends many, until the server has answered the last; that server runs on Node's ws, since the hello
server answers every message with one. In \`echo latency\` each message is sent when the previous one is back. The first
greeting is timed from construction, in a fresh page each time, and includes what loads only then: a WebAssembly module,
without any cache. The modules of the Rust clients can read every kind of message measured above, so they are larger than a
program's, whose sizes are below. Recovery is timed from the cut until the connection is open again, once with each
client's default waits (long waits are kind to a server, and neither a merit nor a fault here), and once with the shortest.`,
  3: `## Sizes

Bytes that a page loads.`,
  4: `## Memory

As Chromium counts it after a garbage collection. For sockets: how much each adds to a page that already has four. For
reconnects and messages: the median of samples taken at every tenth of the run, and the ratio of the end to the start.`,
  5: `## The server under load

The hello server compared with one on axum (with axum's read buffer, and with ours) and one on Python's websockets, with 1,
100 and 5,000 connections. Each value starts a fresh server. Where there are two processors, the server has one and the
clients the other. Other work on the machine affects processor times and memory least, and latencies most; latencies are
measured at 1,000 greetings per second, far below what the servers can do.`,
  6: `## Instructions

Counted by callgrind, whatever else the machine does, with criterion's times beside them.`,
  7: `## Sessions on a server

A server by the server crate on axum, with its store in memory, whose messages come back: 100 B of JSON, from 100 native
clients in one other process, with sessions and without. \`echo rate/1\` sends each message when the one before is back,
\`echo rate/128\` 128 of them when those before are. Where there are two processors, the server has one and the clients the
other. An idle client is one of 5,000 that has had one message back. What its session takes is the difference in the server's
memory to the same clients without sessions, while they are connected, and after all their connections broke.`,
};

/** The cases that have a plot: part, case, title; `added` plots the cost added to a bare `WebSocket`. */
const PLOTS = [
  {
    part: 1,
    name: 'receive/text/16',
    title: 'Receiving 16 B of text: added to a bare handler',
    added: true,
    file: 'receive-text',
  },
  { part: 1, name: 'receive/json/book-100', title: 'Receiving 100 B of JSON, decoded', file: 'receive-json-100' },
  { part: 1, name: 'receive/json/chat-1024', title: 'Receiving 1 KiB of JSON, decoded', file: 'receive-json-1024' },
  { part: 1, name: 'send/binary/64', title: 'Sending 64 B of bytes', file: 'send-binary' },
  {
    part: 1,
    name: 'send on a real socket/text/16',
    title: 'The call of send on a real socket, 16 B of text',
    file: 'send-real',
  },
  { part: 2, name: 'echo rate/text/16', title: 'Round trips per second (more is better)', file: 'echo-rate' },
  { part: 2, name: 'echo latency p50/text/16', title: 'Echo latency, p50', file: 'echo-latency' },
  { part: 2, name: 'first greeting/text', title: 'From construction to the first greeting', file: 'first-greeting' },
  { part: 3, name: 'npm bundle/gzip', title: 'npm packages, bundled and minified, gzip -9', file: 'size-npm' },
  {
    part: 3,
    name: 'hello program/gzip',
    title: 'The hello program in Rust, wasm and glue, gzip -9',
    file: 'size-rust',
  },
  { part: 4, name: '1,000 sockets on the stub/heap each', title: 'JavaScript heap of a socket', file: 'heap' },
];

const isOwn = (contender) => contender.startsWith('steady-socket');

/** A table of Markdown; the first row is the head, and all columns but the first are numbers unless they are `texts`. */
export function markdownTable(rows, { texts = false } = {}) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [head, ...body] = rows;
  return [line(head), `|---|${(texts ? '---|' : '--:|').repeat(head.length - 1)}`, ...body.map(line)].join('\n');
}

/** Cases that differ only after their last slash share a table. */
export function groups(measurements) {
  const found = new Map();
  for (const { part, case: name, rows } of byCase(measurements)) {
    const cut = name.lastIndexOf('/');
    const [group, column] = cut < 0 ? [name, name] : [name.slice(0, cut), name.slice(cut + 1)];
    const key = `${part} ${group}`;
    if (!found.has(key)) found.set(key, { part, group, columns: [] });
    found.get(key).columns.push({ column, name, rows });
  }
  return [...found.values()];
}

function groupTable({ part, columns }) {
  const contenders = [...new Set(columns.flatMap(({ rows }) => rows.map(({ contender }) => contender)))];
  const samplesOf = (rows, contender) => rows.find((row) => row.contender === contender)?.samples;
  const first = (contender) => {
    const samples = columns.map(({ rows }) => samplesOf(rows, contender)).find((found) => found !== undefined);
    return median(samples);
  };
  const body = contenders
    .sort((left, right) => betterFirst(columns[0].rows[0].unit, first(left), first(right)))
    .map((contender) => [
      isOwn(contender) ? `**${contender}**` : contender,
      ...columns.map(({ name, rows }) => {
        const samples = samplesOf(rows, contender);
        if (!samples) return '–';
        return GROWING.test(name)
          ? growthCell(samples)
          : cell(samples, part === 1 && contender !== 'bare' ? samplesOf(rows, 'bare') : undefined);
      }),
    ]);
  const head = [
    '',
    ...columns.map(({ column, rows }) => (column === rows[0].unit ? column : `${column}, ${rows[0].unit}`)),
  ];
  return markdownTable([head, ...body]);
}

function cell(samples, bare) {
  const { median: middle, low, high } = summary(samples);
  const spread =
    samples.length > 1 && middle !== 0 ? ` ±${Math.round(((high - low) / 2 / Math.abs(middle)) * 100)} %` : '';
  if (!bare) return `${number(middle)}${spread}`;
  const added = median(samples.map((sample, round) => sample - bare[round]));
  return `${number(middle)}${spread} (${added < 0 ? '−' : '+'}${number(Math.abs(added))})`;
}

function growthCell(samples) {
  const middle = median(samples);
  return middle === 0 ? '0' : `${number(middle)}, × ${figure('growth', { numerator: samples }).value.toFixed(3)}`;
}

/** `{ file: text }`, the paths relative to `docs/`. */
export function documentation(results, judged) {
  const files = {};
  const { machine, versions, started, measurements } = results;
  const sections = Object.entries(PARTS).map(([part, text]) => {
    const own = groups(measurements).filter((group) => group.part === Number(part));
    if (own.length === 0) return '';
    const plots = PLOTS.filter((plot) => plot.part === Number(part)).map((plot) => {
      const svg = plotOf(plot, measurements);
      if (!svg) return '';
      files[`benchmarks/${plot.file}.svg`] = svg;
      return `![${plot.title}](benchmarks/${plot.file}.svg)`;
    });
    const tables = own.map((group) => `### ${group.group}\n\n${groupTable(group)}`);
    return [text, ...plots, ...tables].filter(Boolean).join('\n\n');
  });
  files['benchmarks.md'] = `${[
    `# Benchmarks

This library and its alternatives, all measured in one run. \`cargo xtask bench --write\` generates this page;
[bench](../bench/README.md) describes each figure and how it is measured. Compare figures within this page,
not with those of another machine or another day. Tables list the best first, be it a peer or this library.`,
    markdownTable(
      [
        ['machine', ''],
        ...Object.entries(machine).map(([name, value]) => [name, String(value)]),
        ['measured', started],
      ],
      { texts: true },
    ),
    markdownTable([['version of', ''], ...Object.entries(versions)], { texts: true }),
    `## Budgets

\`cargo xtask bench --check\` and \`cargo xtask size --check\` enforce these. A ratio is followed by its 95 % interval.`,
    markdownTable(
      budgetTable(judged).map(([, ...cells], index) => [
        index === 0 ? 'budget' : judged[index - 1].budget.description,
        ...cells,
      ]),
    ),
    ...judged.filter(({ budget }) => budget.floor).map(({ budget }) => `**${budget.description}**: ${budget.floor}`),
    ...sections,
  ]
    .filter(Boolean)
    .join('\n\n')}\n`;
  return files;
}

function plotOf({ part, name, title, added }, measurements) {
  const found = byCase(measurements).find((one) => one.part === part && one.case === name);
  if (!found) return undefined;
  const [{ unit }] = found.rows;
  const bare = found.rows.find(({ contender }) => contender === 'bare')?.samples;
  const rows = found.rows
    .filter(({ contender }) => !(added && contender === 'bare'))
    .map(({ contender, samples }) => {
      const {
        median: value,
        low,
        high,
      } = summary(added ? samples.map((sample, round) => sample - bare[round]) : samples);
      return { name: contender, value, low, high, own: isOwn(contender) };
    })
    .sort((left, right) => betterFirst(unit, left.value, right.value));
  return bars({ title, unit, rows });
}

/** Rewrites the documentation, and removes plots that no longer exist. */
export async function writeDocumentation(docs, results, judged) {
  const folder = path.join(docs, 'benchmarks');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [file, text] of Object.entries(documentation(results, judged)))
    await writeFile(path.join(docs, file), text);
}
