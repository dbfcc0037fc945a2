// What the task runner hands over.

import path from 'node:path';

const MEANINGS = {
  CHROMIUM: 'the path of Chromium',
  STEADY_SOCKET_SERVER: 'the http address of a hello server of the release profile, with its control',
  STEADY_SOCKET_PAGE_ORIGIN_PORT: 'the port of 127.0.0.1 whose origin the server allows',
};

/** The value of a variable; says what it is when it is missing. */
export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: ${MEANINGS[name]}. \`cargo xtask bench\` sets it.`);
  return value;
}

export const ROOT = path.resolve(import.meta.dirname, '../../..');

/** Where everything lies that is made for the measurements. */
export const OUTPUT = path.join(ROOT, 'target/bench');
