// Writes a WebAssembly module as a JavaScript module, for programs that embed it: compressed, or as it is for those that
// cannot wait for a decompression.
//
//     node embed.mjs MODULE OUTPUT [--as-it-is]

import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const [module, output, ...options] = process.argv.slice(2);
if (output === undefined) {
  console.error('error: name the module and the output');
  process.exit(2);
}
// In base64, which every page can decode. Compressed first, since base64 breaks up the byte patterns that a server's
// own compression would find.
const bytes = readFileSync(module);
const isCompressed = !options.includes('--as-it-is');
const text = (isCompressed ? gzipSync(bytes, { level: 9 }) : bytes).toString('base64');
writeFileSync(
  output,
  isCompressed
    ? `// The WebAssembly module, compressed with gzip, in base64.\nexport const GZIPPED_BASE64 = '${text}';\n`
    : `// The WebAssembly module, in base64.\nexport const BASE64 = '${text}';\n`,
);
