// Where a case spends its time, according to the browser's sampling profiler.

/** The sampling interval, in microseconds. */
const INTERVAL = 100;

/** How many functions are listed individually. */
const SHOWN = 25;

/** What a function belongs to; the first match counts. */
const CAUSES = [
  ['nothing: idle, the browser itself', ({ name }) => name === '(idle)' || name === '(program)'],
  ['collecting garbage', ({ name }) => name === '(garbage collector)'],
  ['serde', ({ name, isWasm }) => isWasm && /serde|Deserialize|Serialize/.test(name)],
  [
    'allocating',
    ({ name, isWasm }) =>
      isWasm && /dlmalloc|rlsf|__(rust|rustc|wbindgen)_?(alloc|malloc|realloc|free|dealloc)|__rust_/.test(name),
  ],
  ['steady-socket in WebAssembly', ({ name, isWasm }) => isWasm && name.includes('steady_socket')],
  ['other WebAssembly', ({ isWasm }) => isWasm],
  ['the glue of wasm-bindgen', ({ file }) => file.startsWith('contender-')],
  ['the boundary of WebAssembly', ({ name }) => /^(wasm-to-js|js-to-wasm)/.test(name)],
  ["the browser's send", ({ name, file }) => name === 'send' && file === ''],
  ['encoding text', ({ name }) => name === 'encodeInto'],
  ['the event and its dispatch', ({ name }) => ['MessageEvent', 'dispatchEvent', 'get data', 'deliver'].includes(name)],
  ['queueMicrotask', ({ name }) => name === 'queueMicrotask'],
  ['the page: contenders in JavaScript, the harness', () => true],
];

/** Profiles `run` in a page, and returns `{ causes, functions }`: lists of names and shares of the time. */
export async function profile(page, run) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Profiler.enable');
  await cdp.send('Profiler.setSamplingInterval', { interval: INTERVAL });
  await cdp.send('Profiler.start');
  await run();
  const {
    profile: { nodes, samples, timeDeltas },
  } = await cdp.send('Profiler.stop');
  await cdp.detach();
  const times = new Map();
  samples.forEach((id, index) => times.set(id, (times.get(id) ?? 0) + timeDeltas[index]));
  return shares(nodes.map(({ id, callFrame }) => ({ callFrame, time: times.get(id) ?? 0 })));
}

/** @param nodes - `{ callFrame: { functionName, url }, time }`, with the time spent in the function itself */
export function shares(nodes) {
  const all = nodes.reduce((sum, { time }) => sum + time, 0);
  const causes = new Map();
  const functions = new Map();
  for (const {
    callFrame: { functionName, url },
    time,
  } of nodes) {
    const file = url.slice(url.lastIndexOf('/') + 1);
    const one = { name: functionName || '(without a name)', file, isWasm: file.endsWith('.wasm') };
    const [cause] = CAUSES.find(([, fits]) => fits(one));
    const shown = file ? `${one.name} in ${file}` : one.name;
    causes.set(cause, (causes.get(cause) ?? 0) + time / all);
    functions.set(shown, (functions.get(shown) ?? 0) + time / all);
  }
  const sorted = (map) => [...map].filter(([, share]) => share > 0).sort(([, left], [, right]) => right - left);
  return { causes: sorted(causes), functions: sorted(functions).slice(0, SHOWN) };
}

/** Rows for a table. */
export function profileTables(title, { causes, functions }) {
  const rows = (list) => list.map(([name, share]) => [name, `${(100 * share).toFixed(1)} %`]);
  return [
    [[title, 'of the time'], ...rows(causes)],
    [['function', 'of the time'], ...rows(functions)],
  ];
}
