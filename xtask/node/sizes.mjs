// Prints the sizes of a built package: raw, gzip -9 and Brotli at its highest quality.
//
//     node sizes.mjs FOLDER

import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** What a page loads; declarations and texts are for the developer. */
const LOADED = new Set(['.js', '.wasm']);

function sizes(content) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  return [
    content.length,
    gzipSync(content, { level: 9 }).length,
    brotliCompressSync(content, { params }).length,
  ];
}

function print(name, numbers) {
  const columns = numbers.map((number) => number.toLocaleString('en').padStart(9));
  console.log(`${columns.join(' ')}  ${name}`);
}

const folder = process.argv[2];
if (folder === undefined) {
  console.error('error: name the folder of the package');
  process.exit(2);
}
const files = readdirSync(folder, { recursive: true })
  .filter((file) => LOADED.has(extname(file)))
  .sort();
const rows = files.map((file) => [file, sizes(readFileSync(join(folder, file)))]);
const total = rows.reduce((sum, [, row]) => sum.map((value, i) => value + row[i]), [0, 0, 0]);

console.log(`${['raw', 'gzip -9', 'brotli'].map((title) => title.padStart(9)).join(' ')}  bytes`);
rows.forEach(([file, row]) => print(file, row));
print('together', total);
