// Part 4: memory, as Chromium counts it after garbage collection.

import path from 'node:path';

import { inPage } from '../lib/page.mjs';
import { required } from '../lib/environment.mjs';
import { generator, shuffled } from '../lib/random.mjs';

export const PART = 4;

const INSTRUMENTS = path.join(import.meta.dirname, '../page/instruments.js');

/** What is read, with its unit. */
const KINDS = { heap: 'bytes', 'wasm memory': 'bytes', listeners: 'listeners', timers: 'timers' };

/** How many initial readings are discarded. */
const WARM_UP = 5;

/**
 * Readings during ten thousand reconnects, one before and one after every thousand; then more while the result is
 * inconclusive.
 */
const READINGS = { first: 11, more: 10, most: 41 };

/** How many messages are delivered before each of these. */
const WARM_UP_MESSAGES = 6_400;

/** A page with instruments: `read()` collects garbage and returns `{ heap, 'wasm memory', listeners, timers }`. */
function withInstruments(stage, measure) {
  return inPage({ open: () => stage.open({ script: INSTRUMENTS }) }, async (page) => {
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('Performance.enable');
    await cdp.send('HeapProfiler.enable');
    const read = async () => {
      // The first collection releases objects with finalizers, the second what the finalizers let go of.
      for (let times = 0; times < 3; times += 1) {
        await cdp.send('HeapProfiler.collectGarbage');
        await page.evaluate(
          () =>
            new Promise((resolve) => {
              setTimeout(resolve, 10);
            }),
        );
      }
      const { usedSize } = await cdp.send('Runtime.getHeapUsage');
      const { metrics } = await cdp.send('Performance.getMetrics');
      const own = await page.evaluate(() => ({
        'wasm memory': globalThis.instruments.wasmMemory(),
        timers: globalThis.instruments.timers(),
      }));
      return { heap: usedSize, listeners: metrics.find(({ name }) => name === 'JSEventListeners').value, ...own };
    };
    return measure({ page, read });
  });
}

export async function measure(context) {
  await openSockets(context);
  await reconnects(context);
  await streams(context);
  await resumes(context);
}

/** How much each of many open sockets holds: a fresh page for each sample. */
async function openSockets({ stage, plan, results, say }) {
  const echo = `${required('STEADY_SOCKET_SERVER').replace(/^http/, 'ws')}/echo`;
  const random = generator(plan.seed);
  const places = [
    { label: '200 open sockets', most: 200, url: echo },
    { label: '1,000 sockets on the stub', most: 1_000 },
  ];
  for (const { label, most, url } of places) {
    const count = plan.quick ? 20 : most;
    const kinds = Object.keys(KINDS).filter((kind) => plan.wants(PART, `${label}/${kind} each`));
    if (kinds.length === 0) continue;
    const all = plan.contenders(
      PART,
      `${label}/heap each`,
      await inPage(stage, (page) => page.evaluate(() => globalThis.bench.holders())),
    );
    for (let round = 0; round < (plan.quick ? 1 : 3); round += 1) {
      for (const contender of shuffled(all, random)) {
        const [before, after] = await withInstruments(stage, async ({ page, read }) => {
          // Loaded and warmed up: the cost of the first socket is not the cost of each.
          await page.evaluate((given) => globalThis.bench.hold(given), { contender, count: 4, url });
          const first = await read();
          await page.evaluate((given) => globalThis.bench.hold(given), { contender, count, url });
          return [first, await read()];
        });
        for (const kind of kinds) {
          results.add({
            part: PART,
            case: `${label}/${kind} each`,
            contender,
            unit: KINDS[kind],
            samples: [(after[kind] - before[kind]) / count],
          });
        }
      }
    }
    say(`${label}: ${all.length} contenders`);
  }
}

/**
 * Readings before ten thousand reconnects, and after every thousand. The first readings are discarded, with the
 * reconnects before them: until then the browser is still compiling, and keeps what reading itself needs, whoever
 * reconnects.
 */
async function reconnects({ stage, plan, results, say }) {
  const names = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, `10,000 reconnects/${kind}`]));
  const wanted = Object.keys(KINDS).filter((kind) => plan.wants(PART, names[kind]));
  if (wanted.length === 0) return;
  const all = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.reconnecting()));
  const contenders = plan.contenders(
    PART,
    names.heap,
    all.filter((name) => !name.startsWith('socket.io')),
  );
  const step = plan.quick ? 40 : 1_000;
  for (const contender of contenders) {
    const rounds = await withInstruments(stage, async ({ page, read }) => {
      await page.evaluate((name) => globalThis.bench.openSurvivors(name), contender);
      const next = async () => {
        await page.evaluate((count) => globalThis.bench.reconnect(count), step);
        return read();
      };
      for (let thousand = 0; thousand < WARM_UP; thousand += 1) await next();
      return plan.untilConclusive({
        results,
        part: PART,
        name: names.heap,
        unit: KINDS.heap,
        rounds: READINGS,
        measure: async (count) => {
          const readings = [];
          while (readings.length < count) readings.push(await next());
          if (readings.some((reading) => contender.startsWith('steady-socket') && reading['wasm memory'] === 0)) {
            throw new Error(`the instruments see no memory of the module of ${contender}`);
          }
          for (const kind of wanted.filter((one) => one !== 'heap')) {
            results.add({
              part: PART,
              case: names[kind],
              contender,
              unit: KINDS[kind],
              samples: readings.map((reading) => reading[kind]),
            });
          }
          return { [contender]: readings.map(({ heap }) => heap) };
        },
      });
    });
    say(`10,000 reconnects: ${contender}, ${rounds} readings`);
  }
}

/** Readings after every hundred thousand of a million messages. */
async function streams({ stage, plan, results, say }) {
  const label = 'a million messages';
  const kinds = ['heap', 'wasm memory'].filter((kind) => plan.wants(PART, `${label}/${kind}`));
  if (kinds.length === 0) return;
  const step = plan.quick ? 640 : 99_968;
  const all = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.readers()));
  for (const contender of plan.contenders(PART, `${label}/heap`, all)) {
    const { readings, rates } = await withInstruments(stage, async ({ page, read }) => {
      await page.evaluate((name) => globalThis.bench.openReader(name), contender);
      const found = { readings: [], rates: [] };
      for (let times = 0; times <= WARM_UP + 10; times += 1) {
        const rate = await page.evaluate(
          (count) => globalThis.bench.read(count),
          times < WARM_UP ? WARM_UP_MESSAGES : step,
        );
        const reading = await read();
        if (times >= WARM_UP) found.readings.push(reading);
        if (times > WARM_UP) found.rates.push(rate);
      }
      return found;
    });
    for (const kind of kinds) {
      results.add({
        part: PART,
        case: `${label}/${kind}`,
        contender,
        unit: KINDS[kind],
        samples: readings.map((reading) => reading[kind]),
      });
    }
    if (plan.wants(PART, `${label}/rate`)) {
      results.add({ part: PART, case: `${label}/rate`, contender, unit: 'messages/s', samples: rates });
    }
    say(`${label}: ${contender}`);
  }
}

/**
 * Readings after every hundred of a thousand resumes, with a thousand messages each way for each of them. The resumes before
 * them warm up, as for reconnects.
 */
async function resumes({ stage, plan, results, say }) {
  const label = 'a million messages through a thousand resumes';
  const kinds = Object.keys(KINDS).filter((kind) => plan.wants(PART, `${label}/${kind}`));
  if (kinds.length === 0) return;
  const control = required('STEADY_SOCKET_SERVER');
  const servers = { control, hello: control.replace(/^http/, 'ws') };
  const step = plan.quick ? { resumes: 2, messages: 512 } : { resumes: 100, messages: 1_000 };
  const all = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.resumers()));
  for (const contender of plan.contenders(PART, `${label}/heap`, all)) {
    const readings = await withInstruments(stage, async ({ page, read }) => {
      await page.evaluate((given) => globalThis.bench.openResumer(given), { contender, servers });
      const found = [];
      for (let times = 0; times <= WARM_UP + 10; times += 1) {
        await page.evaluate((given) => globalThis.bench.resume(given), step);
        const reading = await read();
        if (times >= WARM_UP) found.push(reading);
      }
      return found;
    });
    for (const kind of kinds) {
      results.add({
        part: PART,
        case: `${label}/${kind}`,
        contender,
        unit: KINDS[kind],
        samples: readings.map((reading) => reading[kind]),
      });
    }
    say(`${label}: ${contender}`);
  }
}
