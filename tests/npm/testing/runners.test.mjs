// An application's tests, written with the test kit, and run by vitest, jest and node:test as its author would run
// them: in a project of its own, with the packed package.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { transform } from 'esbuild';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage, runProgram } from '../lib/package.mjs';
import { MODULES } from '../typed/compiler.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));
const GUIDE = new URL('../../../docs/testing.md', import.meta.url);

/** What the package's readme omits: the application that its test is for. */
const APP_OF_README = `
  import { ReconnectingWebSocket } from 'steady-socket';
  export function startApp() {
    const socket = new ReconnectingWebSocket('wss://example.test/');
    return { stop: () => socket.close() };
  }
`;

const VITEST = ['node_modules/vitest/vitest.mjs', 'run', '--no-color'];
const JEST = ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--no-color'];

/** A vitest configuration. */
function vitest(options = {}) {
  return [
    'vitest.config.js',
    `export default ${JSON.stringify({ test: { include: ['**/*.vitest.test.js'], ...options } })};`,
  ];
}

/** A jest configuration. */
function jest(options = {}) {
  return [
    'jest.config.js',
    `export default ${JSON.stringify({ testMatch: ['**/*.jest.test.js'], transform: {}, ...options })};`,
  ];
}

/**
 * For each runner, its command line, and what its output says about how many tests passed. In jest,
 * jsdom lacks what the globals file provides.
 */
const RUNNERS = {
  vitest: { config: vitest(), args: VITEST, passed: /Tests +(\d+) passed \(\1\)/ },
  jest: { config: jest(), args: JEST, passed: /Tests: +(\d+) passed, \1 total/ },
  'node:test': {
    args: ['--test', '--test-reporter=tap', 'feed.node.test.js'],
    passed: /^# tests (\d+)\n# suites 0\n# pass \1$/m,
  },
};
Object.assign(RUNNERS, {
  'vitest in jsdom': { ...RUNNERS.vitest, config: vitest({ environment: 'jsdom' }) },
  'vitest in happy-dom': { ...RUNNERS.vitest, config: vitest({ environment: 'happy-dom' }) },
  'jest in jsdom': { ...RUNNERS.jest, config: jest({ testEnvironment: 'jsdom', setupFiles: ['./globals.js'] }) },
  'jest with fake timers from the start': { ...RUNNERS.jest, config: jest({ fakeTimers: { enableGlobally: true } }) },
});

/** The globals that jest needs in jsdom, according to the guide. */
const GLOBALS = `
  import { TextDecoder, TextEncoder } from 'node:util';
  Object.assign(globalThis, { TextDecoder, TextEncoder });
`;

describe("an application's tests with the test kit", { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('test-kit');
    await cp(APPS, installed.project, { recursive: true });
    await writeFile(path.join(installed.project, 'globals.js'), GLOBALS);
    for (const name of ['vitest', 'jest', '@jest', 'jest-environment-jsdom', 'jsdom', 'happy-dom']) {
      await symlink(path.join(MODULES, name), path.join(installed.project, 'node_modules', name));
    }
  });
  after(() => installed?.remove());

  for (const [runner, { config, args, passed }] of Object.entries(RUNNERS)) {
    test(`pass with ${runner}`, async () => {
      if (config) await configure(config);
      // Not as part of this test run.
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const { stdout, stderr } = await runProgram(process.execPath, args, { cwd: installed.project, env });
      const source = await readFile(path.join(APPS, 'feed.cases.js'), 'utf8');
      const count = source.match(/^ {2}test\(/gm).length;
      const found = passed.exec(stdout) ?? passed.exec(stderr);
      assert.equal(Number(found?.[1]), count, `${stdout}\n${stderr}`);
    });
  }

  function configure([name, text]) {
    return writeFile(path.join(installed.project, name), text);
  }

  test('of the guide pass as they stand there', async () => {
    const files = programs(await readFile(GUIDE, 'utf8'));
    assert.deepEqual(
      files.map(({ name }) => name),
      [
        'chat.js',
        'chat.vitest.test.js',
        'chat.node.test.js',
        'chat.plain.test.js',
        'outbox.js',
        'outbox.vitest.test.js',
      ],
    );
    // As the guide says.
    const { code } = files[1];
    const forJest = code.replace("vi } from 'vitest'", "jest } from '@jest/globals'").replaceAll('vi.', 'jest.');
    const folder = path.join(installed.project, 'guide');
    await mkdir(folder);
    for (const file of [...files, { name: 'chat.jest.test.js', code: forJest }])
      await writeFile(path.join(folder, file.name), file.code);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const run = async (...args) => {
      const { stdout, stderr } = await runProgram(process.execPath, args, { cwd: installed.project, env });
      return `${stdout}\n${stderr}`;
    };
    await configure(vitest());
    assert.match(await run(...VITEST, '--dir', 'guide'), /Tests +2 passed \(2\)/);
    await configure(jest());
    assert.match(await run(...JEST, 'guide/'), /Tests: +1 passed, 1 total/);
    assert.match(await run('--test', '--test-reporter=tap', 'guide/chat.node.test.js'), /^# pass 1$/m);
    await run('guide/chat.plain.test.js');
  });

  for (const [environment, more] of [
    ['its default environment', {}],
    ['jsdom', { testEnvironment: 'jsdom', setupFiles: ['<rootDir>/globals.js'] }],
  ]) {
    test(`of the guide passes with jest as it comes, which has CommonJS, in ${environment}`, async () => {
      const [app, { code }] = programs(await readFile(GUIDE, 'utf8'));
      const folder = path.join(installed.project, `commonjs-${environment.replaceAll(' ', '-')}`);
      await mkdir(folder);
      const files = {
        'chat.js': app.code,
        'chat.test.js': code.replace(/^import .* from 'vitest';$/m, '').replaceAll('vi.', 'jest.'),
        'globals.js': GLOBALS,
      };
      await writeFile(path.join(folder, 'package.json'), '{ "type": "commonjs" }');
      // As Babel does where an author writes `import`.
      for (const [name, source] of Object.entries(files)) {
        await writeFile(path.join(folder, name), (await transform(source, { format: 'cjs' })).code);
      }
      const args = [
        'node_modules/jest/bin/jest.js',
        '--no-color',
        '--config',
        JSON.stringify({ rootDir: folder, ...more }),
      ];
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const { stderr } = await runProgram(process.execPath, args, { cwd: installed.project, env });
      assert.match(stderr, /Tests: +1 passed, 1 total/);
    });
  }

  test('of the readme passes as it stands there', async () => {
    const [{ name, code }, ...others] = programs(await readFile(path.join(installed.folder, 'README.md'), 'utf8'));
    assert.deepEqual([name, others], ['app.test.js', []]);
    const folder = path.join(installed.project, 'readme');
    await mkdir(folder);
    await writeFile(path.join(folder, 'app.js'), APP_OF_README);
    await writeFile(path.join(folder, name), code);
    await configure(vitest({ include: ['**/*.test.js'] }));
    const { stdout } = await runProgram(process.execPath, [...VITEST, '--dir', 'readme'], { cwd: installed.project });
    assert.match(stdout, /Tests +1 passed \(1\)/);
  });

  test('fail when the application does not do what they say', async () => {
    await configure(vitest());
    const file = path.join(installed.project, 'feed.js');
    const source = await readFile(file, 'utf8');
    try {
      for (const [what, without] of [
        [
          'subscribes only once',
          source.replace(
            "socket.addEventListener('open', () => {",
            "socket.addEventListener('open', ({ reconnected }) => {\n    if (reconnected) return;",
          ),
        ],
        ['never gives up', source.replace('code === SESSION_OVER ? false : undefined', 'undefined')],
        ['has no heartbeat', source.replace(/heartbeat(Interval|Message): .*/g, '')],
        ['does not close its socket', source.replace("socket.close(1000, 'bye')", 'undefined')],
      ]) {
        assert.notEqual(without, source, what);
        await writeFile(file, without);
        await assert.rejects(
          runProgram(process.execPath, [...VITEST, 'feed'], { cwd: installed.project }),
          /Tests +\d+ failed/,
          `an application that ${what} passes`,
        );
      }
    } finally {
      await writeFile(file, source);
    }
  });
});

/** The programs in a text that begin with the name of their file: `name` and `code`. */
function programs(text) {
  return [...text.matchAll(/^```js\n\/\/ (?<name>\S+)\n(?<code>[\s\S]*?)^```$/gm)].map(({ groups }) => groups);
}
