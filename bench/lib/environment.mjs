// The environment that the task runner provides.

import path from 'node:path';

const MEANINGS = {
  CHROMIUM: 'the path of Chromium',
  STEADY_SOCKET_SERVER: 'the http address of a hello server of the release profile, with its control',
  STEADY_SOCKET_PAGE_ORIGIN_PORT: 'the port of 127.0.0.1 whose origin the server allows',
};

/** The value of a variable; if it is missing, the error explains it. */
export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: ${MEANINGS[name]}. \`cargo xtask bench\` sets it.`);
  return value;
}

export const ROOT = path.resolve(import.meta.dirname, '../..');

/** The folder of everything built for the measurements. */
export const OUTPUT = path.join(ROOT, 'target/bench');
