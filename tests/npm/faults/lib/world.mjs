// The environment of a fault test: the installed package on a page of its own, in a browser like a user's.

import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { PATIENCE, within } from '../../lib/limits.mjs';
import { installPackage } from '../../lib/package.mjs';
import { serveStatic } from '../../lib/static-server.mjs';
import { launchPlainBrowser } from './plain-browser.mjs';
import { startServer } from './servers.mjs';

const PAGE = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'page');

/** Retries quickly and without limit: for tests that are not about the wait. */
export const QUICK = { firstDelayMax: 0, minDelay: 100, baseDelay: 300, maxDelay: 300, attemptInterval: 0 };

// Over three weeks, the longest time that an option accepts.
const FOR_EVER = 2 ** 31 - 1;

/**
 * Waits that outlast any test, before every retry except the first: a socket that is back has not waited until the end.
 */
export const PATIENT = { ...QUICK, minDelay: FOR_EVER, baseDelay: FOR_EVER, maxDelay: FOR_EVER };

/** The same, including the first retry. Its random wait is below a minute only once in 30,000 times. */
export const VERY_PATIENT = { ...PATIENT, firstDelayMax: FOR_EVER };

/** A wait as in those two, in milliseconds. */
export const LONG = 60_000;

/**
 * Pings, with the echo as the answer: for connections to `/echo`, and more frequent than any server's beat. The grace
 * is long enough for an answer on a busy machine.
 */
export const PINGS = { heartbeatInterval: 1_000, heartbeatGrace: 4_000, heartbeatMessage: 'beat' };

/** Typed hello with control messages, which include a heartbeat. */
export const WITH_HEARTBEAT = ['hello.json~1', 'hello.json'];

/**
 * Opens a world.
 *
 * @param options.flags - further switches of the browser, given the server and the origin of the pages
 * @param options.intercept - as {@link serveStatic} takes it
 * @returns `openTab`; `start(program, options)`, which starts a server that accepts the pages; `origin` and
 *   `stopPages`, of the server of the pages; `close`
 */
export async function openWorld({ flags = async () => [], intercept, program = 'test-server', options = [] } = {}) {
  const cleanups = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const { folder, remove } = await installPackage('faults');
    cleanups.push(remove);
    const pages = await serveStatic({ routes: { '/pkg/': folder, '/faults/': PAGE }, intercept });
    cleanups.push(pages.close);
    const start = async (which, ...more) => {
      const server = await startServer(which, ['--allow-origin', pages.origin, ...more]);
      cleanups.push(server.stop);
      return server;
    };
    const server = await start(program, ...options);
    const { context, close: closeBrowser } = await launchPlainBrowser(await flags(server, pages.origin));
    cleanups.push(closeBrowser);
    const openTab = async () => {
      const tab = new Tab(await context.newPage(), pages.origin);
      await tab.start();
      return tab;
    };
    return { server, openTab, start, origin: pages.origin, stopPages: pages.close, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Waits until `find` returns something, and returns it. */
export async function eventually(what, find, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await find();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${patience} ms`);
    await pause(50);
  }
}

export function pause(millis) {
  return new Promise((resolve) => {
    setTimeout(resolve, millis);
  });
}

/** A tab with the page of these tests. */
export class Tab {
  #origin;
  #frames = new Map();

  constructor(page, origin) {
    this.page = page;
    this.#origin = origin;
    /** The URLs of all sockets that the browser created for the page. */
    this.created = [];
  }

  async start() {
    this.cdp = await this.page.context().newCDPSession(this.page);
    const urls = new Map();
    this.cdp.on('Network.webSocketCreated', ({ requestId, url }) => {
      this.created.push(url);
      urls.set(requestId, url);
    });
    this.cdp.on('Network.webSocketFrameReceived', ({ requestId }) => this.#frames.set(urls.get(requestId), Date.now()));
    await this.cdp.send('Network.enable');
    await this.page.goto(`${this.#origin}/faults/page.html`);
    await this.page.waitForFunction(() => globalThis.faults);
  }

  /** When a frame last arrived for a URL, by the wall clock. */
  lastFrame(url) {
    return this.#frames.get(url);
  }

  /** Opens a socket under test, without waiting. */
  begin(name, url, protocols = [], options = QUICK) {
    return this.run(([...of]) => faults.open(...of), [name, url, protocols, options]);
  }

  /** Opens a socket under test, and waits until it is open. */
  async open(name, url, protocols = [], options = QUICK) {
    await this.begin(name, url, protocols, options);
    await this.next(`the opening of ${name}`, name, ({ type }) => type === 'open');
  }

  /** Opens one of the browser's own sockets, and waits until it is open. */
  async bare(name, url) {
    await this.run(([...of]) => faults.bare(...of), [name, url]);
    await this.next(`the opening of ${name}`, name, ({ type }) => type === 'open');
  }

  /** Calls a method of a socket. */
  call(name, method, ...values) {
    return this.run(([socket, which, of]) => faults.socket(socket)[which](...of), [name, method, values]);
  }

  /** Reads a property of a socket. */
  get(name, property) {
    return this.run(([socket, which]) => faults.socket(socket)[which], [name, property]);
  }

  log(name) {
    return this.run((which) => faults.log(which), name);
  }

  /** Runs a function in the page. */
  run(work, argument) {
    return within(this.page.evaluate(work, argument), 'an answer of the page');
  }

  /** The first accepted event after a given time; waits for it. */
  next(what, name, accepts, since = 0) {
    return eventually(what, async () => {
      const log = await this.log(name);
      return log.find((event) => event.at >= since && accepts(event));
    });
  }

  /** The next time the socket opens after a given time. */
  reopened(name, since) {
    return this.next(`the return of ${name}`, name, ({ type, reconnected }) => type === 'open' && reconnected, since);
  }

  /** Sends a name over a typed socket, and waits until it is greeted. */
  async greet(name, who) {
    const since = Date.now();
    await this.call(name, 'send', JSON.stringify({ type: 'hello', name: who }));
    await this.next(
      `the greeting of ${who}`,
      name,
      ({ data }) => data === `{"type":"greeting","text":"Hello ${who}!"}`,
      since,
    );
  }

  /** Sends a text over an echoing socket, and waits until it is back. */
  async echo(name, text) {
    const since = Date.now();
    await this.call(name, 'send', text);
    await this.next(`the echo of ${text}`, name, ({ data }) => data === text, since);
  }

  /** Sends `LABEL 1`, `LABEL 2`, … of the given size; returns how many were accepted. */
  sendMany(name, label, count, bytes = 0) {
    return this.run(([...of]) => faults.sendMany(...of), [name, label, count, bytes]);
  }

  /** The numbers after a label in the messages received, in order. */
  async numbers(name, label) {
    const heads = (await this.log(name)).map(({ data }) => data?.split(' ') ?? []);
    return heads.filter(([word]) => word === label).map(([, number]) => Number(number));
  }

  /** Asserts that one of the browser's own sockets is half-open: it claims to be open, and nothing gets through. */
  async showHalfOpen(name) {
    const since = Date.now();
    await this.call(name, 'send', 'is anybody there');
    await pause(1_000);
    const heard = (await this.log(name)).filter(({ at }) => at >= since);
    assert.deepEqual(heard, [], 'nothing comes over the socket of the browser');
    assert.equal(await this.get(name, 'readyState'), 1, 'the browser calls its socket open');
  }

  /** Asserts that no socket under test ever had two browser sockets at a time. */
  async showOneAtATime() {
    assert.deepEqual(await this.run(() => faults.overlaps()), [], 'sockets that were two at a time');
  }

  async close() {
    await this.showOneAtATime();
    await this.page.close();
  }
}

/** Whole numbers from `first` to `last`. */
export function numbersFrom(first, last) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
