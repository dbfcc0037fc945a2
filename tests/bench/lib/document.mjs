// docs/benchmarks.md and the plots beside it.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { budgetTable, number } from './budgets.mjs';
import { figure, median, summary } from './statistics.mjs';
import { bars } from './svg.mjs';
import { betterFirst, byCase } from './tables.mjs';

/** What is measured from beginning to end of one run, rather than again and again. */
const GROWING = /^(10,000 reconnects|a million messages)\/(?!rate)/;

const PARTS = {
  1: `## What a message costs in the page

Against a stub of \`WebSocket\` that dispatches a fresh event for every message, since the browser's own cost of a frame hides
everything else. Nanoseconds a message: the median, half the distance of the quartiles, and, in parentheses, what is added
to a bare \`WebSocket\` with a handler that does the same work (for JSON and MessagePack: decodes and encodes it).

Contenders without a further word are given messages by handler. \`typed handler\` and \`iteration\` are those of \`TypedSocket\`;
what is made in Rust reads a stream, its peers likewise, unless a handler is named. A loop or a stream has each message
before the next comes. A \`note\` is one long text in an object, which suits
WebAssembly least: the text is copied, where \`JSON.parse\` takes it whole.`,
  2: `## End to end over loopback

Connections to the hello server, in the same page. In \`echo rate\` all messages are sent at once, and the clock stops when
the last is back: messages a second, there and back. In \`rate in\` one message asks for many, until the last of them is there;
in \`rate out\` many are sent, until the server has answered the last: that server is one on Node's ws, since the hello server
answers every message by one. In \`echo latency\` each is sent when the one before is back. The first
greeting is counted from construction, in a fresh page each time, and includes what is loaded only then: a WebAssembly
module, without any cache. Those of the clients in Rust can read every kind of message that is measured above, and are larger
than a program's: its sizes are below. A recovery is counted from the cut until the connection is open again, once with the waits that each
client has as delivered (long waits are kind to a server, and no merit or fault here), and once with the least.`,
  3: `## Sizes

Bytes of what a page loads.`,
  4: `## Memory

As Chromium counts it after collecting garbage. For sockets: how much each of them adds to a page that has four already. For
reconnects and messages: the median of what is there at each tenth of the way, and what the end is of the beginning.`,
  5: `## The server under load

The hello server beside one on axum, with the read buffer that axum has and with the one that ours has, and one on Python's
websockets, with 1, 100 and 5,000 connections. Each is started anew for every value. Where there are two processors, the server
has one and the clients the other. Other work on the machine changes processor times and memory least, and latencies most: those
are taken at 1,000 greetings a second, far from what the servers can do.`,
  6: `## Instructions

Counted by callgrind, which does not depend on what else the machine does, with criterion's times beside them.`,
};

/** The cases of which there is a plot: part, case, title; `added` plots what is added to a bare `WebSocket`. */
const PLOTS = [
  { part: 1, name: 'receive/text/16', title: 'Receiving 16 B of text: added to a bare handler', added: true, file: 'receive-text' },
  { part: 1, name: 'receive/json/book-100', title: 'Receiving 100 B of JSON, decoded', file: 'receive-json-100' },
  { part: 1, name: 'receive/json/chat-1024', title: 'Receiving 1 KiB of JSON, decoded', file: 'receive-json-1024' },
  { part: 1, name: 'send/binary/64', title: 'Sending 64 B of bytes', file: 'send-binary' },
  { part: 1, name: 'send on a real socket/text/16', title: 'The call of send on a real socket, 16 B of text', file: 'send-real' },
  { part: 2, name: 'echo rate/text/16', title: 'Messages a second, there and back (more is better)', file: 'echo-rate' },
  { part: 2, name: 'echo latency p50/text/16', title: 'Echo latency, p50', file: 'echo-latency' },
  { part: 2, name: 'first greeting/text', title: 'From construction to the first greeting', file: 'first-greeting' },
  { part: 3, name: 'npm bundle/gzip', title: 'npm packages, bundled and minified, gzip -9', file: 'size-npm' },
  { part: 3, name: 'hello program/gzip', title: 'The hello program in Rust, wasm and glue, gzip -9', file: 'size-rust' },
  { part: 4, name: '1,000 sockets on the stub/heap each', title: 'JavaScript heap of a socket', file: 'heap' },
];

const isOwn = (contender) => contender.startsWith('steady-socket');

/** A table of Markdown; the first row is the head, and all columns but the first are numbers unless they are `texts`. */
export function markdownTable(rows, { texts = false } = {}) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [head, ...body] = rows;
  return [line(head), `|---|${(texts ? '---|' : '--:|').repeat(head.length - 1)}`, ...body.map(line)].join('\n');
}

/** Cases that differ only in what stands behind their last slash stand in one table. */
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
        return GROWING.test(name) ? growthCell(samples) : cell(samples, part === 1 && contender !== 'bare' ? samplesOf(rows, 'bare') : undefined);
      }),
    ]);
  const head = ['', ...columns.map(({ column, rows }) => (column === rows[0].unit ? column : `${column}, ${rows[0].unit}`))];
  return markdownTable([head, ...body]);
}

function cell(samples, bare) {
  const { median: middle, low, high } = summary(samples);
  const spread = samples.length > 1 && middle !== 0 ? ` ±${Math.round(((high - low) / 2 / Math.abs(middle)) * 100)} %` : '';
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

This library beside what its users would pick instead, all measured in one run. Made by \`cargo xtask bench --write\`; what
each figure is and how it is taken is told in [the folder of the measurements](../tests/bench/README.md). Compare figures
within this page, not with those of another machine or another day. Where a peer is better, it stands above.`,
    markdownTable([['machine', ''], ...Object.entries(machine).map(([name, value]) => [name, String(value)]), ['measured', started]], { texts: true }),
    markdownTable([['version of', ''], ...Object.entries(versions)], { texts: true }),
    `## Budgets

What \`cargo xtask bench --check\` and \`cargo xtask size --check\` hold. A ratio has its 95 % interval behind it.`,
    markdownTable(budgetTable(judged).map(([, ...cells], index) => [index === 0 ? 'budget' : judged[index - 1].budget.description, ...cells])),
    ...judged.filter(({ budget }) => budget.floor).map(({ budget }) => `**${budget.description}**: ${budget.floor}`),
    ...sections,
  ].filter(Boolean).join('\n\n')}\n`;
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
      const { median: value, low, high } = summary(added ? samples.map((sample, round) => sample - bare[round]) : samples);
      return { name: contender, value, low, high, own: isOwn(contender) };
    })
    .sort((left, right) => betterFirst(unit, left.value, right.value));
  return bars({ title, unit, rows });
}

/** Writes the documentation anew; a plot that is no more is removed. */
export async function writeDocumentation(docs, results, judged) {
  const folder = path.join(docs, 'benchmarks');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [file, text] of Object.entries(documentation(results, judged))) await writeFile(path.join(docs, file), text);
}
