// Part 4: what stays in memory.

import { POOL, expected, messagesOf } from './cases.js';
import { cut } from './control.js';
import { Stub } from './stub.js';

const TASK = { id: 'memory', direction: 'receive', kind: 'text', bytes: 16 };
const ECHO = { ...TASK, direction: 'echo' };

/** How many sockets open on the stub, or reconnect, at the same time. */
const AT_A_TIME = 20;

/**
 * The same with a real server: the more sockets are opening, the longer Chromium delays each, eventually by seconds.
 */
const AT_A_TIME_REAL = 4;

/** The address of the stub's sockets. */
const NOWHERE = 'ws://127.0.0.1:9/';

/** Sockets that stay open until the page is closed. */
const held = [];

/** Opens that many sockets at once, and keeps them. */
export async function hold(contender, count, url) {
  if (!url) globalThis.WebSocket = Stub;
  await contender.load?.();
  const messages = messagesOf(ECHO);
  const atATime = url ? AT_A_TIME_REAL : AT_A_TIME;
  for (let done = 0; done < count; done += atATime) {
    const some = Array.from({ length: Math.min(atATime, count - done) }, (_, index) =>
      contender.open({
        url: url ?? `${NOWHERE}${done + index}`,
        task: ECHO,
        messages,
      }),
    );
    held.push(...(await Promise.all(some)));
  }
}

/** One socket that is lost and comes back, again and again. */
class Survivor {
  #contender;
  #url;
  #opened = null;
  #taken = 0;
  #session;

  constructor(contender, index) {
    this.#contender = contender;
    this.#url = `${NOWHERE}${index}`;
  }

  async open(messages) {
    this.#session = await this.#contender.open({
      url: this.#url,
      task: TASK,
      messages,
      impatient: true,
      onOpen: () => this.#opened?.(),
    });
  }

  async survive(losses, message) {
    for (let loss = 0; loss < losses; loss += 1) {
      const opened = new Promise((resolve) => {
        this.#opened = resolve;
      });
      Stub.at(this.#url).end();
      await opened;
      Stub.at(this.#url).deliver(message);
      this.#taken += 1;
    }
    // Loops and streams get their messages a little later.
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    const { count } = this.#session.received();
    if (count !== this.#taken)
      throw new Error(`${this.#contender.name} has ${count} of ${this.#taken} messages after reconnecting`);
  }
}

let survivors = [];

export async function openSurvivors(contender) {
  globalThis.WebSocket = Stub;
  await contender.load?.();
  const messages = messagesOf(TASK);
  survivors = Array.from({ length: AT_A_TIME }, (_, index) => new Survivor(contender, index));
  await Promise.all(survivors.map((survivor) => survivor.open(messages)));
}

/** That many reconnects, in total over all contenders. */
export async function reconnect(count) {
  const [{ wire }] = messagesOf(TASK);
  await Promise.all(survivors.map((survivor) => survivor.survive(count / AT_A_TIME, wire)));
  if (Stub.openSockets !== AT_A_TIME) throw new Error(`${Stub.openSockets} sockets are open, not ${AT_A_TIME}`);
}

/** The receiver of a stream of messages. */
let reader = null;

export async function openReader(contender) {
  globalThis.WebSocket = Stub;
  await contender.load?.();
  reader = { messages: messagesOf(TASK), delivered: 0, isRead: contender.reads !== false };
  reader.session = await contender.open({ url: NOWHERE, task: TASK, messages: reader.messages });
  reader.stub = Stub.last;
}

/** Delivers that many messages, in bursts like those from a socket's buffer, and returns the rate per second. */
export async function read(count) {
  const { session, stub, messages, isRead } = reader;
  const data = messages.map(({ wire }) => wire);
  const from = performance.now();
  for (let done = 0; done < count; done += data.length) {
    for (const message of data) stub.deliver(message);
    reader.delivered += data.length;
    for (let turns = 0; isRead && session.received().count < reader.delivered && turns < 100_000; turns += 1)
      await null;
  }
  const took = performance.now() - from;
  const { count: have } = session.received();
  if (have !== reader.delivered) throw new Error(`${have} of ${reader.delivered} messages are accounted for`);
  return count / (took / 1000);
}

// --- Resumes

/** How many messages are sent at a time: less than a window. */
const AT_ONCE = 8 * POOL;

/** The time limit of one resume, in milliseconds. */
const PATIENCE = 20_000;

/** A session that goes on through the losses of its connections. */
let resumer = null;

export async function openResumer(contender, { hello, control }) {
  await contender.load?.();
  const id = `bench-${Math.random().toString(36).slice(2)}`;
  const messages = messagesOf(ECHO);
  resumer = { id, control, contender, sent: 0, resumes: 0, digestAt: expected(ECHO, messages) };
  resumer.session = await contender.open({
    sessions: `${hello}/session/echo?id=${id}`,
    task: ECHO,
    messages,
    impatient: true,
    onResumed: () => {
      resumer.resumes += 1;
      resumer.changed?.();
    },
    onMessage: () => resumer.changed?.(),
  });
}

/**
 * That many resumes, with at least so many messages each way for each of them. The connection is cut while messages are on
 * their way.
 */
export async function resume(resumes, messages) {
  for (let done = 0; done < resumes; done += 1) {
    const { resumes: before } = resumer;
    for (let left = messages; left > 0; left -= AT_ONCE) {
      const isLast = left <= AT_ONCE;
      resumer.session.send(AT_ONCE);
      resumer.sent += AT_ONCE;
      if (isLast) await cut(resumer.control, resumer.id, resumer.contender);
      await arrived(() => resumer.session.received().count === resumer.sent && (!isLast || resumer.resumes > before));
    }
  }
  // The browser keeps some of what it has fetched.
  performance.clearResourceTimings();
  const { count, digest } = resumer.session.received();
  if (digest !== resumer.digestAt(count))
    throw new Error(`${resumer.contender.name} has other messages than were sent`);
}

/** Waits until something is so. */
function arrived(isSo) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing arrived within ${PATIENCE} ms`)), PATIENCE);
    resumer.changed = () => {
      if (!isSo()) return;
      clearTimeout(late);
      resumer.changed = null;
      resolve();
    };
    resumer.changed();
  });
}
