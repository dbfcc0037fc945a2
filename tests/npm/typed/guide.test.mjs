// The programs of docs/typed.md print what the guide says, and compile as TypeScript.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage, runProgram } from '../lib/package.mjs';
import { COMPILER, MODULES, STRICT } from './compiler.mjs';

const GUIDE = fileURLToPath(new URL('../../../docs/typed.md', import.meta.url));
const guide = await readFile(GUIDE, 'utf8');
const programs = [...guide.matchAll(/^```js\n(?<code>[\s\S]*?)^```$/gm)].map(({ groups }) => groups.code);

/** What Node 20 lacks: browsers' global `WebSocket`. */
const PRELUDE = `
  import { WebSocket } from 'ws';
  globalThis.WebSocket = WebSocket;
`;

describe('the guide to typed messages', { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('guide');
    for (const name of ['ws', 'zod']) {
      await symlink(path.join(MODULES, name), path.join(installed.project, 'node_modules', name));
    }
    await writeFile(path.join(installed.project, 'prelude.mjs'), PRELUDE);
    for (const [index, program] of programs.entries()) {
      await writeFile(
        path.join(installed.project, `program-${index}.mjs`),
        program.replaceAll('ws://127.0.0.1:8765', serverAddress('ws')),
      );
    }
  });
  after(() => installed?.remove());

  test('has programs', () => {
    assert.ok(programs.length >= 6, `${programs.length} programs`);
    for (const program of programs) assert.match(program, /from 'steady-socket'[\s\S]*\/\/ → /);
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
        compilerOptions: { ...STRICT, allowJs: true, checkJs: true, module: 'esnext', moduleResolution: 'bundler' },
        files: programs.map((_, index) => `program-${index}.mjs`),
      }),
    );
    await runProgram(process.execPath, [COMPILER, '--project', config, '--pretty', 'false'], {
      cwd: installed.project,
    });
  });
});
