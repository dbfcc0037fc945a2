// Writes a WebAssembly module, compressed, as a JavaScript module, for programs that embed it.
//
//     node embed.mjs MODULE OUTPUT

import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const [module, output] = process.argv.slice(2);
if (output === undefined) {
  console.error('error: name the module and the output');
  process.exit(2);
}
// In base64, which every page can decode. Compressed first, since base64 breaks up the byte patterns that a server's
// own compression would find.
const text = gzipSync(readFileSync(module), { level: 9 }).toString('base64');
writeFileSync(
  output,
  `// The WebAssembly module, compressed with gzip, in base64.\nexport const GZIPPED_BASE64 = '${text}';\n`,
);
