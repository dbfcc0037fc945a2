// Part 2: connections to real servers.

import { generator, shuffled } from '../lib/random.mjs';
import { quantile } from '../lib/statistics.mjs';
import { POOL, messagesOf, valueOf } from './cases.js';
import { cut } from './control.js';
import { step } from './digest.js';

/** The time limit of everything, in milliseconds. */
const PATIENCE = 20_000;

/** The resolution of the clock in a cross-origin isolated page, in microseconds. */
const CLOCK = 5;

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${PATIENCE} ms`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * The batches of `count` messages, by direction: how many are sent, and which of the case's messages come back. The
 * server of a one-way case gets the count in its address, and checks that every message sent has arrived.
 */
const BATCHES = {
  both: { sent: (count) => count, back: (count) => Array.from({ length: count }, (_, index) => index) },
  in: { sent: () => 1, back: (count) => BATCHES.both.back(count) },
  out: { sent: (count) => count, back: (count) => [count - 1] },
};

/** A contender's connection, with waits for its events. */
class Player {
  contender;
  session;
  #task;
  /** What each message adds to the digest, and the digest of everything sent. */
  #values;
  #digest = 0;
  #arrived = 0;
  #wanted = 0;
  #arrival = null;
  #opening = null;

  constructor(contender, task) {
    this.contender = contender;
    this.#task = task;
    this.messages = messagesOf(task);
    this.#values = this.messages.map((message) => valueOf(task, message));
  }

  get name() {
    return this.contender.name;
  }

  async open(context) {
    await this.contender.load?.();
    this.session = await within(
      this.contender.open({
        task: this.#task,
        messages: this.messages,
        onMessage: () => {
          this.#arrived += 1;
          if (this.#arrived === this.#wanted) this.#arrival();
        },
        onOpen: () => this.#opening?.(performance.now()),
        ...context,
      }),
      `the opening of ${this.name}`,
    );
  }

  /** Sends a batch of that many messages, and waits until everything expected has come back. */
  async exchange(count, way = this.#task.way ?? 'both') {
    const batch = BATCHES[way];
    const answers = batch.back(count);
    this.#wanted += answers.length;
    for (const index of answers) this.#digest = step(this.#digest, this.#values[index % this.#values.length]);
    const back = new Promise((resolve) => {
      this.#arrival = resolve;
    });
    const sent = this.session.send(batch.sent(count));
    // Not if there is nothing to wait for: it would cost a microtask.
    await within(sent ? Promise.all([sent, back]) : back, `the return of ${answers.length} messages to ${this.name}`);
  }

  /** The time when it is next open. */
  reopened() {
    return within(
      new Promise((resolve) => {
        this.#opening = resolve;
      }),
      `that ${this.name} came back`,
    );
  }

  check() {
    const { count, digest } = this.session.received();
    if (count !== this.#wanted || digest !== this.#digest) {
      throw new Error(`${this.#task.id}: ${this.name} has ${count} of ${this.#wanted} messages, or others`);
    }
  }
}

/** Batches of messages between all contenders and a server: messages per second, and the latency of one. */
export class EndToEndCase {
  #players;
  #random;
  #addresses;
  #messages;

  /** @param messages - the size of a batch */
  constructor(task, contenders, { servers, seed, messages }) {
    this.#players = contenders.map((contender) => new Player(contender, task));
    this.#addresses = addresses(task, servers, messages);
    this.#messages = messages;
    this.#random = generator(seed);
  }

  async open() {
    for (const player of this.#players) {
      await player.open(this.#addresses);
      // The server of a one-way case learns the messages from these.
      await player.exchange(POOL, 'both');
    }
  }

  /** Messages per second in their direction, all sent at once: one sample per round. */
  rate(rounds) {
    return this.#rounds(rounds, async (player) => {
      const from = performance.now();
      await player.exchange(this.#messages);
      return { rate: this.#messages / ((performance.now() - from) / 1000) };
    });
  }

  /** Microseconds until a message is back, each sent after the one before is back. */
  latency(rounds) {
    return this.#rounds(rounds, async (player) => {
      const took = [];
      for (let index = 0; index < this.#messages; index += 1) {
        const from = performance.now();
        await player.exchange(1);
        // The clock has a resolution: a random part of a step is added, or medians could only be whole steps.
        took.push((performance.now() - from) * 1000 + (this.#random() - 0.5) * CLOCK);
      }
      return { p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
    });
  }

  async close() {
    for (const { session } of this.#players) await session.close();
  }

  /** `{ figure: { contender: samples } }` */
  async #rounds(count, measure) {
    const samples = {};
    for (let round = 0; round < count; round += 1) {
      for (const player of shuffled(this.#players, this.#random)) {
        for (const [figure, sample] of Object.entries(await measure(player))) {
          samples[figure] ??= {};
          samples[figure][player.name] ??= [];
          samples[figure][player.name].push(sample);
        }
        player.check();
      }
    }
    return samples;
  }
}

/**
 * The addresses for a batch of that many messages: `url`, `sessions`, and `socketIo` for the contender with its own server.
 * A session says by its `credential` what it wants.
 */
function addresses({ way }, { hello, oneWay, socketIo }, count) {
  if (!way) return { url: `${hello}/echo`, sessions: `${hello}/session/echo`, socketIo };
  const credential = `way=${way}&count=${count}&pool=${POOL}`;
  const query = `?${credential}`;
  const sessions = `${hello}/session/burst`;
  return { url: `${oneWay}/${query}`, sessions, credential, socketIo: `${socketIo}/${query}` };
}

const GREETING = { id: 'greet', direction: 'greet', kind: 'text', bytes: 8 };
const ECHO = { id: 'recovery', direction: 'echo', kind: 'text', bytes: 16 };

/** Milliseconds from before a contender's first action in this page until it is greeted. */
export async function timeToGreeting(contender, servers) {
  let greeted;
  const greeting = new Promise((resolve) => {
    greeted = resolve;
  });
  const from = performance.now();
  await contender.load?.();
  const session = await within(
    contender.open({
      url: servers.hello,
      socketIo: servers.socketIo,
      task: GREETING,
      messages: [{ wire: 'Ada' }],
      onMessage: () => greeted(performance.now()),
    }),
    `the opening of ${contender.name}`,
  );
  await session.send(1);
  const took = (await within(greeting, `the greeting of ${contender.name}`)) - from;
  await session.close();
  return took;
}

/**
 * Milliseconds from a cut until each contender is open again. All are cut together, and do not wait for one another.
 */
export async function timesToRecover(contenders, servers, { impatient }) {
  const recovered = await Promise.all(
    contenders.map(async (contender, index) => {
      const player = new Player(contender, ECHO);
      const id = `bench-${index}-${Math.random().toString(36).slice(2)}`;
      await player.open({ url: `${servers.hello}/echo?id=${id}`, socketIo: servers.socketIo, impatient });
      await player.exchange(1);
      const reopened = player.reopened();
      const from = performance.now();
      if (player.session.cut) player.session.cut();
      else await cut(servers.control, id, contender);
      const took = (await reopened) - from;
      // The new connection works.
      await player.exchange(1);
      await player.session.close();
      return [contender.name, took];
    }),
  );
  return Object.fromEntries(recovered);
}
