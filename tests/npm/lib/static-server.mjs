// A small web server for test pages, which sends the policy under which the package promises to work.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/**
 * The strictest policy under which the package works: nothing inline, WebAssembly allowed, and connections to this
 * machine, or to `connect`.
 */
export function strictPolicy({ wasm = true, connect = 'http://127.0.0.1:* ws://127.0.0.1:*' } = {}) {
  return [
    "default-src 'none'",
    `script-src 'self'${wasm ? " 'wasm-unsafe-eval'" : ''}`,
    // Programs that create workers from blobs need this in their policy.
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/**
 * Serves pages on 127.0.0.1.
 *
 * @param port - 0 picks a free one
 * @param routes - `{ '/prefix/': folder }`: files in a folder; `{ '/path': { type, body } }`: a page
 * @param intercept - called with the path of every request; may return `{ status, type, body, policy, caching }`, each
 *   optional, to change the response, or nothing
 * @param headers - additional headers of every response
 * @returns the origin and `close`, which waits until the port is free
 */
export async function serveStatic({ port = 0, routes = {}, intercept = () => undefined, headers = {} }) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const special = intercept(pathname) ?? {};
    const found =
      special.body === undefined && special.status === undefined
        ? await find(routes, pathname)
        : { type: special.type ?? 'text/plain', body: special.body ?? '' };
    response.statusCode = special.status ?? (found ? 200 : 404);
    response.setHeader('Content-Security-Policy', special.policy ?? strictPolicy());
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', special.caching ?? 'no-store');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader('Content-Type', special.type ?? found?.type ?? 'text/plain');
    response.end(found?.body ?? 'not found');
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function find(routes, pathname) {
  const exact = routes[pathname];
  if (typeof exact === 'object') return exact;
  for (const [prefix, folder] of Object.entries(routes)) {
    if (typeof folder !== 'string' || !pathname.startsWith(prefix)) continue;
    const file = path.resolve(folder, decodeURIComponent(pathname.slice(prefix.length)));
    if (!file.startsWith(path.resolve(folder) + path.sep)) return undefined;
    try {
      return { type: TYPES[path.extname(file)] ?? 'application/octet-stream', body: await readFile(file) };
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'EISDIR') return undefined;
      throw error;
    }
  }
  return undefined;
}
