// A case of part 1: the cost of a message for each contender.

import { generator, shuffled } from '../lib/random.mjs';
import { expected, messagesOf, POOL, valueOf } from './cases.js';
import { decodedValue } from './decoded.js';
import { step } from './digest.js';
import { Stub } from './stub.js';

const NativeWebSocket = globalThis.WebSocket;

/**
 * How long a batch takes, in milliseconds: long enough for a clock of 5 µs, and short enough that other activity of the
 * machine spoils few samples, which a median ignores, rather than a part of every sample.
 */
const BATCH_TIME = 0.5;

/** After this many microtasks without it, a message counts as missing. */
const PATIENCE = 1_000;

/** Lets the browser do pending work; a timer would wait for 4 ms. */
function nextTask() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

export class MessageCase {
  #task;
  #warmUp;
  #random;
  #addresses;
  #isReal;
  #players;
  #messages;

  /**
   * @param servers - the addresses of real echo servers, `url` and `sessions`; without them, all connect to the stub
   * @param warmUp - how long to run unmeasured rounds, in milliseconds: the browser's compilers take time
   */
  constructor(task, contenders, { servers, seed, warmUp }) {
    this.#task = task;
    this.#warmUp = warmUp;
    this.#addresses = servers ?? { url: 'ws://127.0.0.1:9/stub' };
    this.#isReal = servers !== undefined;
    this.#random = generator(seed);
    this.#messages = messagesOf(task);
    this.#players = contenders.map((contender) => ({
      contender,
      digestAt: this.#digestOf(contender),
      delivered: 0,
      batch: POOL,
    }));
  }

  #digestOf(contender) {
    return expected(contender.undecoded ? { kind: 'text' } : this.#task, this.#messages);
  }

  async open() {
    for (const player of this.#players) {
      const { contender } = player;
      if (!this.#isReal) globalThis.WebSocket = contender.stub ?? Stub;
      await contender.load?.();
      player.session = await contender.open({ ...this.#addresses, task: this.#task, messages: this.#messages });
      player.stub = this.#isReal ? null : Stub.last;
    }
    if (this.#task.direction === 'send' && !this.#isReal) {
      for (const player of this.#players) await this.#inspect(player);
    }
    for (const player of this.#players) await this.#calibrate(player);
    const warm = performance.now() + this.#warmUp;
    while (performance.now() < warm) await this.#round();
    // Once more, now that the code is compiled.
    for (const player of this.#players) await this.#calibrate(player);
  }

  /** A list of samples for each contender. */
  async rounds(count) {
    const samples = Object.fromEntries(this.#players.map(({ contender }) => [contender.name, []]));
    for (let round = 0; round < count; round += 1) {
      for (const [name, sample] of await this.#round()) samples[name].push(sample);
    }
    return samples;
  }

  async close() {
    for (const { session } of this.#players) await session.close();
    globalThis.WebSocket = NativeWebSocket;
  }

  async #round() {
    const samples = [];
    for (const player of shuffled(this.#players, this.#random)) {
      samples.push([player.contender.name, await this.#sample(player, player.batch)]);
      // Events, timers and garbage that a contender left behind must not burden the next one.
      await nextTask();
    }
    return samples;
  }

  /** Finds how many messages take a contender the time of a batch. */
  async #calibrate(player) {
    for (;;) {
      // The first batch is slower than all others.
      await this.#sample(player, player.batch);
      const took = (await this.#sample(player, player.batch)) * player.batch * 1e-6;
      if (took >= BATCH_TIME / 2) {
        player.batch = Math.max(POOL, Math.ceil((player.batch * BATCH_TIME) / took / POOL) * POOL);
      } else {
        player.batch *= 2;
      }
      const { most = Infinity } = this.#isReal ? player.session : {};
      player.batch = Math.min(player.batch, most);
      if (took >= BATCH_TIME / 2 || player.batch === most) return;
    }
  }

  /** Nanoseconds per message. */
  async #sample(player, count) {
    const { direction } = this.#task;
    if (direction === 'receive') return this.#receive(player, count);
    return this.#isReal ? this.#sendToServer(player, count) : this.#send(player, count);
  }

  async #receive(player, count) {
    const { stub, session } = player;
    const data = this.#messages.map(({ wire }) => (typeof wire === 'string' ? wire : wire.buffer));
    if (session.later) player.turns ??= await this.#countTurns(player, data);
    const { turns } = player;
    let from = performance.now();
    if (session.later) {
      for (let index = 0; index < count; index += 1) {
        stub.deliver(data[index % POOL]);
        for (let turn = 0; turn < turns; turn += 1) await null;
      }
    } else {
      for (let index = 0; index < count; index += 1) stub.deliver(data[index % POOL]);
      stub.flush();
    }
    let took = performance.now() - from;
    player.delivered += count;
    this.#check(player, session.received());
    if (session.later) {
      // A browser runs a loop after every event by itself; here it takes a wait, which is not the contender's cost.
      from = performance.now();
      for (let index = 0; index < count; index += 1) {
        for (let turn = 0; turn < turns; turn += 1) await null;
      }
      took -= performance.now() - from;
    }
    return (took / count) * 1e6;
  }

  /** The most microtasks it takes until a loop or a stream has a message. */
  async #countTurns(player, data) {
    const { stub, session, contender } = player;
    let most = 1;
    for (let index = 0; index < 2 * POOL; index += 1) {
      stub.deliver(data[index % POOL]);
      player.delivered += 1;
      let turns = 0;
      for (; session.received().count < player.delivered; turns += 1) {
        if (turns === PATIENCE)
          throw new Error(`${this.#task.id}: ${contender.name} misses message ${player.delivered}`);
        await null;
      }
      most = Math.max(most, turns);
    }
    return most;
  }

  async #send({ contender, stub, session }, count) {
    const before = stub.sent;
    const from = performance.now();
    const sent = session.send(count);
    // Calls that finish before returning are not delayed.
    if (sent) await sent;
    const took = performance.now() - from;
    if (stub.sent - before !== count) {
      throw new Error(`${this.#task.id}: ${contender.name} sent ${stub.sent - before} of ${count} messages`);
    }
    return (took / count) * 1e6;
  }

  /** Times only the calls; then everything has to come back before the next contender's turn. */
  async #sendToServer(player, count) {
    const { session } = player;
    let from = performance.now();
    if (this.#task.alone) {
      for (let index = 0; index < count; index += 1) {
        session.send(1);
        await null;
      }
    } else {
      const sent = session.send(count);
      if (sent) await sent;
    }
    let took = performance.now() - from;
    if (this.#task.alone) {
      // The turns are not the contender's cost.
      from = performance.now();
      for (let index = 0; index < count; index += 1) await null;
      took -= performance.now() - from;
    }
    player.delivered += count;
    const deadline = performance.now() + 10_000;
    while (session.received().count < player.delivered && performance.now() < deadline) {
      await nextTask();
    }
    this.#check(player, session.received());
    return (took / count) * 1e6;
  }

  #check({ contender, digestAt, delivered }, { count, digest }) {
    if (count !== delivered) {
      throw new Error(`${this.#task.id}: ${contender.name} has ${count} of ${delivered} messages`);
    }
    if (digest !== digestAt(delivered)) {
      throw new Error(`${this.#task.id}: ${contender.name} has ${count} messages, but not those that were sent`);
    }
  }

  /** Checks everything that a contender sends, once: later it is only counted. */
  async #inspect({ contender, stub, session }) {
    const seen = [];
    stub.inspect = (data) => seen.push(decodedValue(this.#task, data));
    await session.send(POOL);
    stub.inspect = null;
    const digest = (await Promise.all(seen)).reduce(step, 0);
    const wanted = this.#messages.map((message) => valueOf(this.#task, message)).reduce(step, 0);
    if (seen.length !== POOL || digest !== wanted) {
      throw new Error(`${this.#task.id}: ${contender.name} sent ${seen.length} of ${POOL} messages, or others`);
    }
  }
}
