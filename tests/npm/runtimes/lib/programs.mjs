// Runtimes besides the Node that runs the tests. npm provides them for Linux on x64.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** Their location in npm's packages, and whether the Node that runs the tests can stand in. */
const RUNTIMES = {
  'node-22': {
    packaged: 'node-22-linux-x64/bin/node',
    program: 'node',
    hasOwn: Number.parseInt(process.versions.node, 10) >= 22,
  },
  deno: { packaged: '@deno/linux-x64-glibc/deno', program: 'deno' },
  bun: { packaged: '@oven/bun-linux-x64-baseline/bin/bun', program: 'bun' },
};

/** The path of a runtime: from its package, or otherwise from the machine. */
export function runtime(name) {
  const { packaged, program, hasOwn } = RUNTIMES[name];
  const installed = path.join(MODULES, packaged);
  if (existsSync(installed)) return installed;
  if (hasOwn) return process.execPath;
  const found = process.env.PATH.split(path.delimiter)
    .map((folder) => path.join(folder, program))
    .find(existsSync);
  if (!found || name === 'node-22') {
    throw new Error(
      `${name} is missing: on this system npm does not bring it; install it so that \`${program}\` is on the path`,
    );
  }
  return found;
}
