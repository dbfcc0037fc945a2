// What the harness calls in the page, as `globalThis.bench`.

import { contenders } from '../contenders/index.js';
import { ECHO_CASES, REAL_SEND, STUB_CASES } from './cases.js';
import { MessageCase } from './message-case.js';

const CASES = new Map([...STUB_CASES, REAL_SEND, ...ECHO_CASES].map((task) => [task.id, task]));

/** The case that is open. */
let current = null;

globalThis.bench = {
  contenders: () => contenders.map(({ name, package: of }) => ({ name, package: of })),

  /** The names of those that take part in a case. */
  partakers: (id) => contenders.filter(({ takes }) => takes(CASES.get(id))).map(({ name }) => name),

  stubCases: () => STUB_CASES.map(({ id }) => id),

  /** Opens a case of part 1 with some of the contenders, warms them up, and tells how many messages a batch has. */
  async openMessageCase({ id, names, url, seed }) {
    const partakers = names.map((name) => contenders.find((one) => one.name === name));
    current = new MessageCase(CASES.get(id), partakers, { url, seed });
    await current.open();
    return current.batch;
  },

  /** Nanoseconds a message, of each contender by its name: one sample a round. */
  rounds: (count) => current.rounds(count),

  async close() {
    await current.close();
    current = null;
  },
};
