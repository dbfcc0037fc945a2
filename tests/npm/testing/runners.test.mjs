// An application's tests, written with the test kit, run by vitest, jest and node:test as its author would run them:
// in a project of its own, with the packed package.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage, runProgram } from '../lib/package.mjs';
import { MODULES } from '../typed/compiler.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));
const GUIDE = new URL('../../../docs/testing.md', import.meta.url);

/** What each runner is called with, and what its output says of how many tests passed. */
const RUNNERS = {
  vitest: {
    config: ['vitest.config.js', "export default { test: { include: ['**/*.vitest.test.js'] } };"],
    args: ['node_modules/vitest/vitest.mjs', 'run', '--no-color'],
    passed: /Tests +(\d+) passed \(\1\)/,
  },
  jest: {
    config: ['jest.config.js', "export default { testMatch: ['**/*.jest.test.js'], transform: {} };"],
    args: ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--no-color'],
    passed: /Tests: +(\d+) passed, \1 total/,
  },
  node: {
    args: ['--test', '--test-reporter=tap', 'feed.node.test.js'],
    passed: /^# tests (\d+)\n# suites 0\n# pass \1$/m,
  },
};

describe("an application's tests with the test kit", { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('test-kit');
    await cp(APPS, installed.project, { recursive: true });
    for (const name of ['vitest', 'jest', '@jest']) {
      await symlink(path.join(MODULES, name), path.join(installed.project, 'node_modules', name));
    }
  });
  after(() => installed?.remove());

  for (const [runner, { config, args, passed }] of Object.entries(RUNNERS)) {
    test(`pass with ${runner}`, async () => {
      if (config) await writeFile(path.join(installed.project, config[0]), config[1]);
      // Not as a part of this run.
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const { stdout, stderr } = await runProgram(process.execPath, args, { cwd: installed.project, env });
      const source = await readFile(path.join(APPS, `feed.${runner}.test.js`), 'utf8');
      const count = source.match(/^test\(/gm).length;
      const found = passed.exec(stdout) ?? passed.exec(stderr);
      assert.equal(Number(found?.[1]), count, `${stdout}\n${stderr}`);
    });
  }

  test('of the guide pass as they stand there', async () => {
    const guide = await readFile(GUIDE, 'utf8');
    const files = [...guide.matchAll(/^```js\n\/\/ (?<name>\S+)\n(?<code>[\s\S]*?)^```$/gm)].map(({ groups }) => groups);
    assert.deepEqual(files.map(({ name }) => name), ['chat.js', 'chat.vitest.test.js', 'chat.node.test.js', 'chat.plain.test.js']);
    // As the guide says.
    const { code } = files[1];
    const forJest = code.replace("vi } from 'vitest'", "jest } from '@jest/globals'").replaceAll('vi.', 'jest.');
    const folder = path.join(installed.project, 'guide');
    await mkdir(folder);
    for (const file of [...files, { name: 'chat.jest.test.js', code: forJest }]) await writeFile(path.join(folder, file.name), file.code);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const run = async (...args) => {
      const { stdout, stderr } = await runProgram(process.execPath, args, { cwd: installed.project, env });
      return `${stdout}\n${stderr}`;
    };
    const { vitest, jest } = RUNNERS;
    assert.match(await run(...vitest.args, '--dir', 'guide'), /Tests +1 passed \(1\)/);
    assert.match(await run(...jest.args, 'guide/'), /Tests: +1 passed, 1 total/);
    assert.match(await run('--test', '--test-reporter=tap', 'guide/chat.node.test.js'), /^# pass 1$/m);
    await run('guide/chat.plain.test.js');
  });

  test('fail when the application does not do what they say', async () => {
    const file = path.join(installed.project, 'feed.js');
    const source = await readFile(file, 'utf8');
    try {
      for (const [what, without] of [
        ['subscribes only once', source.replace("socket.addEventListener('open', () => {", "socket.addEventListener('open', ({ reconnected }) => {\n    if (reconnected) return;")],
        ['never gives up', source.replace('code === SESSION_OVER ? false : undefined', 'undefined')],
        ['has no heartbeat', source.replace(/heartbeat(Interval|Message): .*/g, '')],
        ['does not close its socket', source.replace("socket.close(1000, 'bye')", 'undefined')],
      ]) {
        assert.notEqual(without, source, what);
        await writeFile(file, without);
        await assert.rejects(
          runProgram(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--no-color'], { cwd: installed.project }),
          /Tests +\d+ failed/,
          `an application that ${what} passes`,
        );
      }
    } finally {
      await writeFile(file, source);
    }
  });
});
