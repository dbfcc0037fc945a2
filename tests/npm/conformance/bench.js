// What a case of the conformance suite works with. The same code runs with the browser's own `WebSocket` and with ours;
// a case judges nothing, it records what it observes.

/** How long a case waits before something counts as not having happened, in milliseconds. */
const PATIENCE = 15_000;

const TYPES = ['open', 'message', 'error', 'close'];

/** A case's sockets, servers and notes. */
export class Bench {
  /** The class under test, as a program sees it. */
  Socket;
  /** The observations, by name; values that JSON can represent. */
  notes = {};
  #servers;
  #uncaught = [];
  #made = [];
  #ids = 0;

  /**
   * @param Socket - the class
   * @param servers - `{ ws, http, raw, silent }`: the addresses of the hello server and its control, of the server of
   *   `raw-server.mjs`, and of one that answers no handshake
   */
  constructor(Socket, servers) {
    this.Socket = Socket;
    this.#servers = servers;
  }

  /** Records an observation. */
  note(name, value) {
    if (Object.hasOwn(this.notes, name)) throw new Error(`${name} is noted twice`);
    this.notes[name] = show(value);
  }

  /** Records what a function returns or throws. */
  attempt(name, act) {
    this.note(name, outcome(act));
  }

  /** Records an uncaught exception. */
  caughtNowhere(error) {
    this.#uncaught.push(String(error));
  }

  /** The uncaught exceptions so far; a case fails if it leaves any untaken. */
  takeUncaught() {
    return this.#uncaught.splice(0);
  }

  // --- Sockets

  /** A socket made with exactly these arguments, and closed when the case is over. */
  make(...given) {
    return this.keep(new this.Socket(...given));
  }

  keep(socket) {
    this.#made.push(socket);
    return socket;
  }

  newId() {
    this.#ids += 1;
    return `conformance-${crypto.getRandomValues(new Uint32Array(2)).join('-')}-${this.#ids}`;
  }

  /** The URL of an endpoint that echoes every message. */
  echoUrl(id = this.newId()) {
    return `${this.#servers.ws}/echo?id=${id}`;
  }

  /** The URL of the raw server, which does what the query says. */
  rawUrl(query = {}) {
    return `${this.#servers.raw}/?${new URLSearchParams(query)}`;
  }

  /** A URL whose handshake is refused with a status. */
  refusedUrl() {
    return `${this.#servers.raw}/refused/${this.newId()}`;
  }

  /** A URL whose handshake is not answered as long as the case runs. */
  silentUrl() {
    return `${this.#servers.silent}/`;
  }

  /** The host and the port of the hello server. */
  get host() {
    return new URL(this.#servers.ws).host;
  }

  /** An open socket to the echo endpoint that receives buffers. */
  async open() {
    const id = this.newId();
    const socket = this.make(this.echoUrl(id));
    socket.binaryType = 'arraybuffer';
    await this.next(socket, 'open');
    return { socket, id };
  }

  /** Makes the hello server drop a connection, or close it with a code and a reason. */
  async cut(id, code, reason = '') {
    const query = new URLSearchParams(code === undefined ? { id } : { id, code, reason });
    const deadline = AbortSignal.timeout(PATIENCE);
    // Repeated until there is one: the server lists a connection a moment after its handshake response.
    for (let connections = 0; connections === 0; ) {
      const response = await fetch(`${this.#servers.http}/control/cut?${query}`, { method: 'POST', signal: deadline });
      if (!response.ok) throw new Error(`the control answers with status ${response.status}`);
      ({ connections } = await response.json());
    }
  }

  // --- Waiting

  /** The next event of a type. */
  next(socket, type, accepts = () => true) {
    return new Promise((resolve, reject) => {
      const done = new AbortController();
      const timer = setTimeout(() => {
        done.abort();
        reject(new Error(`no ${type} within ${PATIENCE} ms`));
      }, PATIENCE);
      socket.addEventListener(
        type,
        (event) => {
          if (!accepts(event)) return;
          clearTimeout(timer);
          done.abort();
          resolve(event);
        },
        { signal: done.signal },
      );
    });
  }

  /** The data of the next messages. */
  async messages(socket, count) {
    const received = [];
    await this.next(socket, 'message', ({ data }) => {
      received.push(data);
      return received.length === count;
    });
    return Promise.all(received.map(content));
  }

  /** A list that collects every event of a socket, with the `readyState` that its listener sees. */
  log(socket) {
    const seen = [];
    for (const type of TYPES) {
      socket.addEventListener(type, (event) => seen.push(`${describe(event)} in ${socket.readyState}`));
    }
    return seen;
  }

  /** Lets everything in progress happen: one of the browser's own connections is opened, used and closed. */
  async settle() {
    for (let round = 0; round < 2; round += 1) {
      const socket = new WebSocket(this.echoUrl());
      await this.next(socket, 'open');
      socket.send('settled');
      await this.next(socket, 'message');
      socket.close();
      await this.next(socket, 'close');
    }
  }

  /** Closes the case's remaining sockets. */
  end() {
    for (const socket of this.#made) socket.close();
  }
}

/** An event as a line. */
function describe(event) {
  switch (event.type) {
    case 'close':
      return `close ${event.code} ${JSON.stringify(event.reason)} ${event.wasClean ? 'clean' : 'unclean'}`;
    case 'message':
      return `message ${typeof event.data === 'string' ? event.data.slice(0, 40) : event.data.constructor.name}`;
    default:
      return event.type;
  }
}

/** The data of a message: text as it is, binary data as its kind and its bytes. */
export async function content(data) {
  if (typeof data === 'string') return data;
  const buffer = data instanceof Blob ? await data.arrayBuffer() : data;
  return `${data.constructor.name} [${new Uint8Array(buffer).join(' ')}]`;
}

/** What a function returns or throws, as a line; an exception by its kind, since each implementation words its own. */
export function outcome(act) {
  try {
    return `gives ${JSON.stringify(show(act())) ?? 'undefined'}`;
  } catch (error) {
    const kind = error instanceof DOMException ? ' (DOMException)' : '';
    return `throws ${error?.name ?? String(error)}${kind}`;
  }
}

/** A value in JSON form, as it is now. */
function show(value) {
  return value === undefined ? 'undefined' : JSON.parse(JSON.stringify(value));
}
