// The fake server: endpoints by URL, the `WebSocket` that connects to them, and a check for leftovers.

import { dispose } from '../typed/symbols.js';
import { FakeConnection, connectionOf } from './connection.js';
import { alignWithFakeTimers } from './fakes.js';
import { Link } from './link.js';
import { BOOLEAN, checkOption, checkOptions } from './options.js';
import { replace } from './replace.js';
import { show } from './show.js';
import { Tasks } from './tasks.js';
import { pendingTimers } from './time.js';
import { Waiters } from './waiting.js';
import { makeWebSocket } from './websocket.js';

/** How long Chromium waits for the closing handshake to end, in milliseconds. */
const CHROMIUM_CLOSE_LIMIT = 60_000;

const HANDSHAKES = ['open', 'stall', 'refuse'];
const CLOSINGS = ['answer', 'stall'];

/** The options of an endpoint, each with the accepted values in words and a check. */
const OPTIONS = {
  handshake: ["'open', 'stall', 'refuse' or a function", (value) => HANDSHAKES.includes(value) || isFunction(value)],
  closing: ["'answer', 'stall' or a function", (value) => CLOSINGS.includes(value) || isFunction(value)],
  onmessage: ['a function or null', (value) => value === null || isFunction(value)],
  protocols: [
    'an array of strings or null',
    (value) => value === null || (Array.isArray(value) && value.every((name) => typeof name === 'string')),
  ],
  codec: [
    'an object with encode and decode, or null',
    (value) => value === null || (isFunction(value?.encode) && isFunction(value?.decode)),
  ],
};

const ASSERT_IDLE_OPTIONS = { timers: BOOLEAN };

/** Options of the whole server only. */
const SERVER_OPTIONS = {
  closeLimit: ['a number of milliseconds over 0, or Infinity', (value) => typeof value === 'number' && value > 0],
};

export class FakeEndpoint {
  #options = { handshake: 'open', closing: 'answer', onmessage: null, protocols: null, codec: null };
  #connections = [];
  #waiters = new Waiters();
  /** How many connections `nextConnection` has returned. */
  #taken = 0;
  #name;
  /** The server's end of sessions, if the test plays it. */
  #sessions = null;

  constructor(options = {}, name = 'the server') {
    this.#name = name;
    checkOptions('FakeServer', options, OPTIONS);
    for (const option of Object.keys(OPTIONS)) {
      if (options[option] !== undefined) this[option] = options[option];
    }
  }

  static {
    for (const [name, known] of Object.entries(OPTIONS)) {
      Object.defineProperty(this.prototype, name, {
        get() {
          return this.#options[name];
        },
        set(value) {
          checkOption('FakeServer', name, value, known);
          this.#options[name] = value;
        },
        enumerable: true,
        configurable: true,
      });
    }
  }

  get connections() {
    return [...this.#connections];
  }

  get last() {
    return this.#connections.at(-1);
  }

  nextConnection(options) {
    const number = this.#taken + 1;
    this.#taken = number;
    return this.#waiters.wait(
      `connection ${number} to ${this.#name}`,
      () => {
        const connection = this.#connections[number - 1];
        return connection && !FakeConnection.isUndecided(connection) ? { value: connection } : undefined;
      },
      () =>
        this.#connections.length === 0
          ? 'there was none yet'
          : `there were ${this.#connections.length}, the last one is ${this.last.state}`,
      options,
      'nextConnection',
    );
  }

  encode(message) {
    return this.codec ? atOnce(this.codec.encode(message)) : message;
  }

  decode(data) {
    return this.codec ? atOnce(this.codec.decode(data)) : data;
  }

  /** The sub-protocol selected by default: the first offered that the endpoint supports. */
  protocolFor(offered) {
    return offered.find((name) => this.protocols?.includes(name) ?? true) ?? '';
  }

  // --- Inside

  /** Accepts a socket. */
  static attach(endpoint, url, offered, socket, { tasks, closeLimit }) {
    const link = new Link(url, offered, socket, {
      get closeLimit() {
        return closeLimit;
      },
      add: (task) => tasks.add(task),
      changed: () => {
        const connection = connectionOf(link);
        FakeConnection.changed(connection);
        endpoint.#sessions?.changed(connection);
      },
      received: (data) => {
        const connection = connectionOf(link);
        if (endpoint.#sessions?.takes(connection)) endpoint.#sessions.arrived(connection, data);
        else endpoint.onmessage?.(endpoint.decode(data), connection);
      },
      closing: () => {
        const { closing } = endpoint;
        if (closing === 'answer') link.finishClose();
        else if (closing !== 'stall') closing(connectionOf(link));
      },
    });
    const connection = new FakeConnection(link, endpoint, endpoint.#connections.length + 1);
    endpoint.#connections.push(connection);
    tasks.add(() => {
      const { handshake } = endpoint;
      try {
        if (link.state !== 'connecting' || handshake === 'stall') return;
        if (handshake === 'open') connection.open();
        else if (handshake === 'refuse') connection.refuse();
        else handshake(connection);
      } finally {
        FakeConnection.decide(connection);
        endpoint.#waiters.changed();
      }
    });
    return link;
  }

  /** Lets the test play the server's end of sessions. */
  static play(endpoint, sessions) {
    endpoint.#sessions?.end('another SessionServer was started in its place');
    endpoint.#sessions = sessions;
  }

  static expectations(endpoint) {
    return [
      ...endpoint.#waiters.expectations,
      ...(endpoint.#sessions?.expectations() ?? []),
      ...endpoint.#connections.flatMap(FakeConnection.expectations),
    ];
  }

  /** How many timers it has running. */
  static timers(endpoint) {
    return endpoint.#sessions?.timers() ?? 0;
  }

  static end(endpoint, why) {
    endpoint.#waiters.end(why);
    endpoint.#sessions?.end(why);
    for (const connection of endpoint.#connections) FakeConnection.end(connection, why);
  }
}

export class FakeServer extends FakeEndpoint {
  /** `{ matches, endpoint }`, the latest first. */
  #routes = [];
  #links = [];
  #tasks = new Tasks();
  #closeLimit;
  #uninstall = null;
  #WebSocket;

  constructor(options = {}) {
    checkOptions('FakeServer', options, { ...OPTIONS, ...SERVER_OPTIONS });
    const { closeLimit = CHROMIUM_CLOSE_LIMIT, ...rest } = options;
    super(rest);
    alignWithFakeTimers();
    this.#closeLimit = closeLimit;
    this.#WebSocket = makeWebSocket((url, offered, socket) => {
      const endpoint = this.#routes.find((route) => route.matches(new URL(url)))?.endpoint ?? this;
      const link = FakeEndpoint.attach(endpoint, url, offered, socket, {
        tasks: this.#tasks,
        closeLimit: this.#closeLimit,
      });
      this.#links.push(link);
      return link;
    });
  }

  static install(options) {
    return new FakeServer(options).install();
  }

  get WebSocket() {
    return this.#WebSocket;
  }

  install() {
    this.#uninstall ??= replace(globalThis, 'WebSocket', this.#WebSocket);
    return this;
  }

  endpoint(url, options) {
    const endpoint = new FakeEndpoint(options, show(String(url)));
    this.#routes.unshift({ matches: matcher(url), endpoint });
    return endpoint;
  }

  settled() {
    return this.#tasks.settled();
  }

  assertIdle(options = {}) {
    checkOptions('FakeServer.assertIdle', options, ASSERT_IDLE_OPTIONS);
    const { timers = true } = options;
    const left = [];
    for (const link of this.#links) {
      if (link.isInUse) left.push(`the socket to ${link.url} is ${link.state}: its program did not close it`);
    }
    for (const endpoint of this.#endpoints()) {
      for (const expected of FakeEndpoint.expectations(endpoint)) left.push(`still waited for: ${expected}`);
    }
    const ofEndpoints = this.#endpoints().reduce((sum, endpoint) => sum + FakeEndpoint.timers(endpoint), 0);
    const own = this.#links.reduce((sum, link) => sum + link.timers, ofEndpoints) + this.#tasks.length;
    const pending = timers ? (pendingTimers() ?? own) - own : 0;
    if (pending > 0) left.push(`${pending === 1 ? 'one timer is' : `${pending} timers are`} running on the fake clock`);
    if (left.length > 0)
      throw new Error(`FakeServer.assertIdle: ${left.length === 1 ? left[0] : `\n- ${left.join('\n- ')}`}`);
  }

  restore() {
    this.#uninstall?.();
    this.#uninstall = null;
    this.#tasks.clear();
    for (const endpoint of this.#endpoints()) FakeEndpoint.end(endpoint, 'the server was restored');
    for (const link of this.#links.splice(0)) link.discard();
  }

  [dispose]() {
    this.restore();
  }

  #endpoints() {
    return [this, ...this.#routes.map(({ endpoint }) => endpoint)];
  }
}

/** A function that says whether a URL belongs to an endpoint. */
function matcher(pattern) {
  if (isFunction(pattern)) return pattern;
  // Unlike `test`, this does not resume after the last match of a pattern with the flag g.
  if (pattern instanceof RegExp) return ({ href }) => href.search(pattern) >= 0;
  const isPath = typeof pattern === 'string' && /^\/(?!\/)/.test(pattern);
  const wanted = parse(pattern, isPath ? 'ws://any' : undefined);
  if (!wanted) {
    throw new TypeError(
      `FakeServer.endpoint: ${show(pattern)} is no endpoint; it takes a path (/chat), an absolute URL (ws:, wss:, http: or https:), a RegExp or a function`,
    );
  }
  // A pattern without a query matches any query.
  return (url) =>
    (isPath || (url.host === wanted.host && url.protocol === wanted.protocol)) &&
    url.pathname === wanted.pathname &&
    (wanted.search === '' || url.search === wanted.search);
}

function parse(text, base) {
  try {
    const url = new URL(text, base);
    url.protocol = url.protocol.replace(/^http/, 'ws');
    return /^wss?:$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** The codec's result: the test's actions take effect before the call returns, so they cannot wait. */
function atOnce(value) {
  if (isFunction(value?.then))
    throw new TypeError(
      'FakeServer: the codec gives a promise; it takes one that gives values and messages themselves',
    );
  return value;
}

function isFunction(value) {
  return typeof value === 'function';
}
