// The WebAssembly module embedded in the program, for environments that cannot serve a file.

import { provide } from './loader.js';
import { GZIPPED_BASE64 } from './embedded-module.js';

provide('embedded', () => {
  const bytes = Uint8Array.from(atob(GZIPPED_BASE64), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
});
