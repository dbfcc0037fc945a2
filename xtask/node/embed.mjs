// Writes a WebAssembly module as a module of JavaScript, compressed, for a program that embeds it.
//
//     node embed.mjs MODULE OUTPUT

import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const [module, output] = process.argv.slice(2);
if (output === undefined) {
  console.error('error: name the module and the output');
  process.exit(2);
}
// In base64, for which every page has a decoder. Compressed, since a server's own compression finds little in it
// otherwise: bytes are no longer beside each other.
const text = gzipSync(readFileSync(module), { level: 9 }).toString('base64');
writeFileSync(output, `// The WebAssembly module, compressed with gzip, in base64.\nexport const GZIPPED_BASE64 = '${text}';\n`);
