// The programs of docs/sessions.md print what the page says, and compile as TypeScript. Events come in the order that it
// lists.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { WebSocket } from 'ws';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { installPackage, runProgram } from './lib/package.mjs';
import { COMPILER, MODULES, STRICT } from './typed/compiler.mjs';

const page = await readFile(new URL('../../docs/sessions.md', import.meta.url), 'utf8');
const blocks = (language) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, code]) => code);

/** Both sides of each diff, and the programs. */
const programs = [
  ...blocks('diff').flatMap((diff) =>
    ['-', '+'].map((side) =>
      diff
        .split('\n')
        .filter((line) => !/^[+-]/.test(line) || line.startsWith(side))
        .map((line) => line.slice(1))
        .join('\n'),
    ),
  ),
  ...blocks('js'),
];

/** What Node 20 lacks: browsers' global `WebSocket`. */
const PRELUDE = `
  import { WebSocket } from 'ws';
  globalThis.WebSocket = WebSocket;
  globalThis.document = { querySelector: () => null };
`;

describe('the page on sessions', { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('sessions-guide');
    await symlink(path.join(MODULES, 'ws'), path.join(installed.project, 'node_modules', 'ws'));
    await writeFile(path.join(installed.project, 'prelude.mjs'), PRELUDE);
    for (const [index, program] of programs.entries()) {
      const code = program.replaceAll('ws://127.0.0.1:8765', serverAddress('ws'));
      await writeFile(path.join(installed.project, `program-${index}.mjs`), code);
    }
  });
  after(() => installed?.remove());

  test('has programs', () => {
    assert.ok(programs.length >= 5, `${programs.length} programs`);
    for (const program of programs) assert.match(program, /from 'steady-socket(\/session)?'[\s\S]*\/\/ → /);
  });

  for (const [index, program] of programs.entries()) {
    test(`program ${index + 1} prints what it says`, async () => {
      const expected = [...program.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => line);
      const args = ['--import', './prelude.mjs', `program-${index}.mjs`];
      const { stdout, stderr } = await runProgram(process.execPath, args, { cwd: installed.project });
      assert.equal(stderr, '');
      assert.deepEqual(stdout.trimEnd().split('\n').sort(), expected.sort());
    });
  }

  test('compiles', async () => {
    const config = path.join(installed.project, 'tsconfig.json');
    await writeFile(
      config,
      JSON.stringify({
        compilerOptions: {
          ...STRICT,
          // JavaScript declares no types of parameters.
          noImplicitAny: false,
          allowJs: true,
          checkJs: true,
          module: 'esnext',
          moduleResolution: 'bundler',
        },
        files: programs.map((_, index) => `program-${index}.mjs`),
      }),
    );
    await runProgram(process.execPath, [COMPILER, '--project', config, '--pretty', 'false'], {
      cwd: installed.project,
    });
  });

  // --- The order of events

  const rows = listed();

  test('lists every event that its order is about', () => {
    const names = new Set(rows.flat(2).map(({ type }) => type));
    for (const type of [
      'statechange',
      'open',
      'sessionstart',
      'resumed',
      'message',
      'dropped',
      'close',
      'sessionend',
    ]) {
      assert.ok(names.has(type), type);
    }
  });

  for (const inSession of [false, true]) {
    test(`a socket ${inSession ? 'in a session' : 'without a session'} has the events in the order of the list`, async () => {
      const entry = path.join(installed.folder, inSession ? 'session/inline.js' : 'inline.js');
      const { ReconnectingWebSocket } = await import(pathToFileURL(entry).href);
      const id = `order-${process.pid}-${inSession}`;
      const types = [...new Set(rows.flat(2).map(({ type }) => type)), 'queuechange'];
      if (inSession) types.push('pendingchange');
      const seen = [];
      const socket = new ReconnectingWebSocket(
        `${serverAddress('ws')}${inSession ? '/session' : ''}/echo?id=${id}`,
        [],
        {
          WebSocket,
          firstDelayMax: 20,
          attemptInterval: 0,
          ...(inSession && { session: true }),
        },
      );
      for (const type of types) socket.addEventListener(type, ({ state }) => seen.push({ type, state }));
      const once = (type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
      const cut = (more) =>
        fetch(`${serverAddress('http')}/control/cut?id=${id}${more}`, { method: 'POST' }).then(({ ok }) =>
          assert.ok(ok),
        );

      socket.send('one');
      await once('message');
      for (const more of ['', '&code=1001']) {
        const back = once('open');
        await cut(more);
        await back;
        socket.send('again');
        await once('message');
      }
      socket.suspend();
      await once('close');
      socket.resume();
      await once('open');
      let over = once(inSession ? 'sessionend' : 'close');
      await cut('&code=4401');
      await over;
      await new Promise((resolve) => setTimeout(resolve));
      socket.reconnect();
      await once('open');
      over = once('close');
      socket.close();
      await over;
      await new Promise((resolve) => setTimeout(resolve));

      inOrder(rows, seen);
      const had = new Set(seen.map(({ type }) => type));
      const expected = ['statechange', 'open', 'message', 'close', 'queuechange'];
      if (inSession) expected.push('sessionstart', 'resumed', 'sessionend', 'pendingchange');
      for (const type of expected) assert.ok(had.has(type), type);
    });
  }

  test('a socket that was never open has them in the order of the list', async () => {
    for (const inSession of [false, true]) {
      const entry = path.join(installed.folder, inSession ? 'session/inline.js' : 'inline.js');
      const { ReconnectingWebSocket } = await import(pathToFileURL(entry).href);
      const seen = [];
      const socket = new ReconnectingWebSocket(`${serverAddress('ws')}/none`, [], {
        WebSocket,
        maxRetries: 0,
        ...(inSession && { session: true }),
      });
      for (const type of new Set(rows.flat(2).map(({ type: it }) => it))) {
        socket.addEventListener(type, ({ state }) => seen.push({ type, state }));
      }
      socket.send('never');
      await new Promise((resolve) =>
        socket.addEventListener(inSession ? 'sessionend' : 'close', resolve, { once: true }),
      );
      await new Promise((resolve) => setTimeout(resolve));
      inOrder(rows, seen);
      assert.ok(seen.some(({ type }) => type === 'error'));
    }
  });
});

/** The list: rows of steps, each of events of which any may come. */
function listed() {
  const section = page.split('## The order of events')[1].split('\n## ')[0];
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) => {
    const [, , javascript] = row.split('|');
    return javascript.split(', then ').map((step) =>
      [...step.matchAll(/`(\w+)`(?: \(([^)]*)\))?/g)].map(([, type, states]) => ({
        type,
        states: states && [...states.matchAll(/`(\w+)`/g)].map(([, state]) => state),
      })),
    );
  });
}

/** Whether each event is at the same step as the one before, or at a later one, or begins an attempt. */
function inOrder(rows, seen) {
  const steps = rows.flat();
  let at = 0;
  for (const [index, { type, state }] of seen.entries()) {
    // They come at the end of a turn.
    if (type === 'queuechange' || type === 'pendingchange') continue;
    const isHere = (step) =>
      step.some((event) => event.type === type && (!event.states || event.states.includes(state)));
    const later = steps.findIndex((step, number) => number >= at && isHere(step));
    const log = seen.map((event) => [event.type, event.state].filter(Boolean).join(' '));
    assert.ok(later >= 0 || isHere(steps[0]), `${log[index]} (${index}) is out of order: ${log.join(', ')}`);
    at = later >= 0 && !isHere(steps[0]) ? later : 0;
  }
}
