// The packed package in Node, with its WebAssembly module loaded.

import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { installPackage } from '../lib/package.mjs';

/** Retries at once: for tests that are not about the wait. */
export const AT_ONCE = { firstDelayMax: 0, minDelay: 0, baseDelay: 1, maxDelay: 1 };

/**
 * Installs the package.
 *
 * @returns `typed` and `msgpack`, the exports of its entries, and `remove`
 */
export async function importPackage(purpose) {
  const { folder, remove } = await installPackage(purpose);
  try {
    const load = (file) => import(pathToFileURL(path.join(folder, file)).href);
    const typed = await load('index.js');
    await typed.load();
    return { typed, msgpack: await load('typed/msgpack.js'), folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The next event of a type. */
export function nextEvent(target, type) {
  return new Promise((resolve) => {
    target.addEventListener(type, resolve, { once: true });
  });
}

/** Resolves after everything that is ready to run. */
export function turn() {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
