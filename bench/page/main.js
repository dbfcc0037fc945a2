// What the harness calls in the page, as `globalThis.bench`.

import { contenders } from '../contenders/index.js';
import { ECHO_CASES, ONE_WAY_CASES, REAL_SEND, REAL_SEND_ALONE, STUB_CASES } from './cases.js';
import { EndToEndCase, timesToRecover, timeToGreeting } from './end-to-end.js';
import { hold, openReader, openResumer, openSurvivors, read, reconnect, resume } from './memory.js';
import { MessageCase } from './message-case.js';

const CASES = new Map(
  [...STUB_CASES, REAL_SEND, REAL_SEND_ALONE, ...ECHO_CASES, ...ONE_WAY_CASES].map((task) => [task.id, task]),
);

const GREET = { direction: 'greet', kind: 'text' };

const named = (name) => contenders.find((one) => one.name === name);

/** The open case. */
let current = null;

globalThis.bench = {
  /** All contenders, each with its package and whether it has a module to load. */
  contenders: () => contenders.map(({ name, package: of, load }) => ({ name, package: of, loads: load !== undefined })),

  /** The names of those that take part in a case. */
  partakers: (id) => contenders.filter(({ takes }) => takes(CASES.get(id))).map(({ name }) => name),

  stubCases: () => STUB_CASES.map(({ id }) => id),

  /** Opens a case of part 1 with some of the contenders, and warms them up. */
  async openMessageCase({ id, names, servers, seed, warmUp }) {
    const partakers = names.map(named);
    current = new MessageCase(CASES.get(id), partakers, { servers, seed, warmUp });
    await current.open();
  },

  /** Nanoseconds per message, by contender: one sample per round. */
  rounds: (count) => current.rounds(count),

  endToEndCases: () => [...ECHO_CASES, ...ONE_WAY_CASES],

  /** Opens a case of part 2 with the given batch size. */
  async openEndToEndCase({ id, names, servers, seed, messages }) {
    current = new EndToEndCase(CASES.get(id), names.map(named), { servers, seed, messages });
    await current.open();
  },

  /** Samples of rates or latencies, by figure and contender, one per round. */
  endToEnd: ({ method, count }) => current[method](count),

  async close() {
    await current.close();
    current = null;
  },

  greeters: () => contenders.filter(({ takes }) => takes(GREET)).map(({ name }) => name),

  timeToGreeting: ({ contender, servers }) => timeToGreeting(named(contender), servers),

  reconnecting: () => contenders.filter(({ reconnects }) => reconnects).map(({ name }) => name),

  /** Milliseconds until it is open again, by contender: one sample per round. */
  async recover({ names, servers, impatient, rounds }) {
    const samples = Object.fromEntries(names.map((name) => [name, []]));
    const all = names.map(named);
    for (let round = 0; round < rounds; round += 1) {
      // Without waits this is quick, but not if all contenders did it at the same time.
      const groups = impatient ? all.map((one) => [one]) : [all];
      for (const group of groups) {
        for (const [name, took] of Object.entries(await timesToRecover(group, servers, { impatient })))
          samples[name].push(took);
      }
    }
    return samples;
  },

  /** Those of which many are opened: one of each class, and those that stream. */
  holders: () =>
    contenders.filter(({ takes, holds }) => holds !== false && takes(ECHO_CASES[0])).map(({ name }) => name),

  hold: ({ contender, count, url }) => hold(named(contender), count, url),

  openSurvivors: (name) => openSurvivors(named(name)),

  reconnect,

  resumers: () => contenders.filter(({ resumes }) => resumes).map(({ name }) => name),

  openResumer: ({ contender, servers }) => openResumer(named(contender), servers),

  resume: ({ resumes, messages }) => resume(resumes, messages),

  readers: () => contenders.filter(({ streams }) => streams).map(({ name }) => name),

  openReader: (name) => openReader(named(name)),

  read,
};
