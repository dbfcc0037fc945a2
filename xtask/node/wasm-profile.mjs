// Prints what the code of a WebAssembly module with names consists of: by cause, and its largest functions.
//
//     node wasm-profile.mjs FILE [FUNCTIONS]
//
// The compressed size of a cause is how much smaller the section gets without its functions.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const SECTIONS = [
  'custom',
  'type',
  'import',
  'function',
  'table',
  'memory',
  'global',
  'export',
  'start',
  'elem',
  'code',
  'data',
  'datacount',
];
const CODE = SECTIONS.indexOf('code');
const IMPORT = SECTIONS.indexOf('import');

/** The first match counts. */
const CAUSES = [
  ['allocator', /dlmalloc|rlsf|__rust_(alloc|realloc|dealloc)|__rustc|__rdl/],
  ['serde and serde_json', /serde/],
  ['formatting of core', /core(\[\w+\])?::(fmt|num|unicode|char|str)|flt2dec|dec2flt/],
  ['panics and std', /panick|std(\[\w+\])?::|handle_alloc_error|handle_error|slice_index_fail/],
  ['the core', /steady_socket::(connection|options)|steady_socket_protocol::control/],
  ['the driver', /steady_socket::(driver|cell)/],
  ['the browser ring', /steady_socket::browser/],
  ['the Rust face', /steady_socket::(socket|inbox|events|source|search)/],
  ['codecs and messages', /steady_socket_protocol/],
  ['the JavaScript face', /steady_socket_wasm|^core_/],
  ['wasm-bindgen and js-sys', /wasm_bindgen|js_sys|web_sys|gloo|__wbindgen|__wbg|externref/],
  ['the rest: drops, vectors, closures', /./],
];

/** Reads a module from the start. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  number() {
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at];
      this.at += 1;
      result += (byte & 127) * 2 ** shift;
      if (byte < 128) return result;
    }
  }

  text() {
    const length = this.number();
    return this.skip(length).toString('utf8');
  }

  skip(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  limits() {
    const flags = this.number();
    this.number();
    if (flags & 1) this.number();
  }
}

function sectionsOf(bytes) {
  const reader = new Reader(bytes, 8);
  const sections = [];
  while (reader.at < bytes.length) {
    const start = reader.at;
    const id = reader.number();
    const size = reader.number();
    sections.push({ id, start, body: reader.at, end: reader.at + size });
    reader.at += size;
  }
  return sections;
}

/** How many functions are imported: the module's own functions are numbered after them. */
function countImports(bytes, section) {
  const reader = new Reader(bytes, section.body);
  let functions = 0;
  for (let left = reader.number(); left > 0; left -= 1) {
    reader.text();
    reader.text();
    switch (reader.number()) {
      case 0:
        functions += 1;
        reader.number();
        break;
      case 1:
        reader.at += 1;
        reader.limits();
        break;
      case 2:
        reader.limits();
        break;
      case 3:
        reader.at += 2;
        break;
      default:
        throw new Error('an import of a kind that is not known');
    }
  }
  return functions;
}

function namesOf(bytes, sections) {
  const names = new Map();
  for (const { id, body, end } of sections.filter((section) => section.id === 0)) {
    const reader = new Reader(bytes, body);
    if (id !== 0 || reader.text() !== 'name') continue;
    while (reader.at < end) {
      const part = reader.number();
      const size = reader.number();
      const next = reader.at + size;
      if (part === 1) {
        for (let left = reader.number(); left > 0; left -= 1) names.set(reader.number(), reader.text());
      }
      reader.at = next;
    }
  }
  return names;
}

const compressed = (bytes) => gzipSync(bytes, { level: 9 }).length;
/** A table row; all cells but the last are numbers. */
const row = (...cells) =>
  cells.map((cell, index) => (index < cells.length - 1 ? String(cell).padStart(8) : ` ${cell}`)).join('');

const [file, count = '40'] = process.argv.slice(2);
if (file === undefined) {
  console.error('error: name a WebAssembly module');
  process.exit(2);
}
const bytes = readFileSync(file);
const sections = sectionsOf(bytes);
const names = namesOf(bytes, sections);
if (names.size === 0) {
  console.error('error: the module has no names; give wasm-opt the option -g');
  process.exit(1);
}
const without = Buffer.concat([
  bytes.subarray(0, 8),
  ...sections.filter(({ id }) => id !== 0).map(({ start, end }) => bytes.subarray(start, end)),
]);

console.log(row('raw', 'gzip -9', 'the module without its names, and its sections'));
console.log(row(without.length, compressed(without), 'together'));
for (const { id, start, end } of sections.filter((section) => section.id !== 0)) {
  console.log(row(end - start, compressed(bytes.subarray(start, end)), SECTIONS[id]));
}

const code = sections.find(({ id }) => id === CODE);
const first = countImports(
  bytes,
  sections.find(({ id }) => id === IMPORT),
);
const reader = new Reader(bytes, code.body);
const functions = Array.from({ length: reader.number() }, (_, index) => {
  const start = reader.at;
  reader.skip(reader.number());
  const name = names.get(first + index) ?? `function ${first + index}`;
  return { start, end: reader.at, name, cause: CAUSES.find(([, pattern]) => pattern.test(name))[0] };
});
const whole = compressed(bytes.subarray(code.start, code.end));
const sizeOf = (list) => list.reduce((sum, { start, end }) => sum + end - start, 0);

console.log(`\n${row('raw', 'gzip -9', 'count', 'functions by cause')}`);
const causes = CAUSES.map(([cause]) => [cause, functions.filter((it) => it.cause === cause)]).filter(
  ([, list]) => list.length > 0,
);
for (const [cause, list] of causes.sort(([, one], [, other]) => sizeOf(other) - sizeOf(one))) {
  const rest = functions.filter((it) => it.cause !== cause).map(({ start, end }) => bytes.subarray(start, end));
  console.log(row(sizeOf(list), whole - compressed(Buffer.concat(rest)), list.length, cause));
}

console.log(`\n${row('raw', 'the largest functions')}`);
for (const { start, end, name } of functions
  .sort((one, other) => sizeOf([other]) - sizeOf([one]))
  .slice(0, Number(count))) {
  console.log(row(end - start, name.slice(0, 150)));
}
