// The hello server and the fault server, as processes started by a test.

import { spawn } from 'node:child_process';
import path from 'node:path';

import { required } from '../../lib/environment.mjs';
import { within } from '../../lib/limits.mjs';

/**
 * Starts a server and waits until it accepts connections.
 *
 * @param program - `test-server` or `fault-server`
 * @param options - its command line; the default is `--port 0`
 * @returns `port`; `http` and `ws`, its addresses without a trailing slash; `said`, which resolves to the first
 *   matching line on its standard error; and `stop` and `kill`, which wait until it has ended
 */
export async function startServer(program, options) {
  const withPort = options.includes('--port') ? options : ['--port', '0', ...options];
  const child = spawn(path.join(required('STEADY_SOCKET_PROGRAMS'), program), withPort, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TEST_SERVER_ALLOW_ORIGIN: '', TEST_SERVER_DEMO_CONTROL: '' },
  });
  const ended = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  let output = '';
  child.stderr.setEncoding('utf8');
  const said = (pattern) =>
    within(
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(output);
          if (found) resolve(found);
        };
        child.stderr.on('data', look);
        child.once('exit', (code) => reject(new Error(`${program} ended with ${code}: ${output}`)));
        look();
      }),
      `${program}: ${pattern}`,
    );
  child.stderr.on('data', (text) => {
    output += text;
  });
  child.once('error', (error) => {
    output += error;
  });
  const end = async (signal) => {
    child.kill(signal);
    await within(ended, `the end of ${program}`);
  };
  try {
    const [, scheme, port] = await said(/listening on (https?):\/\/[^:]+:(\d+)/);
    const host = scheme === 'https' ? 'localhost' : '127.0.0.1';
    return {
      port: Number(port),
      http: `${scheme}://${host}:${port}`,
      ws: `${scheme.replace('http', 'ws')}://${host}:${port}`,
      said,
      stop: () => end('SIGTERM'),
      kill: () => end('SIGKILL'),
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** The control of a fault server: see `tests/faults/README.md` for its commands. */
export class Faults {
  #address;

  constructor(server) {
    this.#address = `${server.http}/faults`;
  }

  rule(rule) {
    return this.#ask('POST', '/rules', rule);
  }

  clearRules() {
    return this.#ask('DELETE', '/rules');
  }

  /** Applies an action to open connections. */
  now(match, action) {
    return this.#ask('POST', '/now', { match, action });
  }

  /** A proxy in front of a port of this machine: its own port, and `toxic` and `cure`. */
  async proxy(name, port) {
    const { listen } = await this.#ask('POST', '/proxies', { name, upstream: `127.0.0.1:${port}` });
    return {
      ws: `ws://${listen}`,
      toxic: (type, attributes = {}, stream = 'downstream') =>
        this.#ask('POST', `/proxies/${name}/toxics`, { type, attributes, stream }),
      cure: () => this.#ask('DELETE', `/proxies/${name}/toxics`),
    };
  }

  /** The events of the connections with this id, oldest first. */
  async log(id) {
    const { events } = await this.#ask('GET', '/log');
    return events.filter((event) => event.id === id);
  }

  async #ask(method, path, body) {
    const response = await fetch(this.#address + path, { method, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }
}
