// docs/runtimes.md and the package's readme list what is tested here, and their programs run.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { transform } from 'esbuild';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { makeProject } from './lib/project.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DOCUMENT = fileURLToPath(new URL('../../../docs/runtimes.md', import.meta.url));
const document = await readFile(DOCUMENT, 'utf8');

const programsOf = (text) => [...text.matchAll(/^```js\n(?<code>[\s\S]*?)^```$/gm)].map(({ groups }) => groups.code);

describe('docs/runtimes.md', { timeout: TEST_TIMEOUT }, () => {
  test('names every test of this folder, and none that is not there', async () => {
    const named = [...document.matchAll(/\]\(([^)#]+\.test\.mjs)\)/g)].map(([, link]) =>
      path.resolve(path.dirname(DOCUMENT), link),
    );
    assert.deepEqual(
      named.filter((file) => !existsSync(file)),
      [],
    );
    const tests = (await readdir(HERE)).filter((file) => file.endsWith('.test.mjs') && file !== 'document.test.mjs');
    assert.deepEqual(
      tests.filter((file) => !named.includes(path.join(HERE, file))),
      [],
    );
  });

  test('has the versions that are installed', async () => {
    const { devDependencies, optionalDependencies } = JSON.parse(
      await readFile(path.join(HERE, '../package.json'), 'utf8'),
    );
    const version = (name) => ({ ...devDependencies, ...optionalDependencies })[name].replace(/^npm:.*@/, '');
    const rows = document.split('\n').filter((line) => line.startsWith('| '));
    for (const [start, name] of [
      ['| Vite, ', 'vite'],
      ['| Vite 7, ', 'vite-7'],
      ['| webpack ', 'webpack'],
      ['| esbuild ', 'esbuild'],
      ['| esbuild, ', 'esbuild'],
      ['| Rollup ', 'rollup'],
      ['| Parcel ', 'parcel'],
      ['| Next, ', 'next'],
      ['| Node with its own ', 'node-22-linux-x64'],
      ['| Deno ', '@deno/linux-x64-glibc'],
      ['| Bun ', '@oven/bun-linux-x64-baseline'],
    ]) {
      const found = rows.filter((row) => row.startsWith(start));
      assert.ok(found.length > 0, start);
      for (const row of found) assert.equal(row.split('|')[2].trim(), version(name), row);
    }
    assert.ok(document.includes(`\`ws\` ${version('ws')}`));
  });
});

describe('the programs of docs/runtimes.md and of the readme', { timeout: TEST_TIMEOUT }, () => {
  let consumer;
  let readme;
  before(async () => {
    consumer = await makeProject('documents', { files: 'programs', packages: ['ws'] });
    readme = await readFile(path.join(consumer.folder, 'README.md'), 'utf8');
  });
  after(() => consumer?.remove());

  const run = async (program) => {
    await writeFile(path.join(consumer.project, 'program.js'), program);
    const { stdout } = await runProgram(process.execPath, ['program.js'], { cwd: consumer.project });
    return stdout;
  };

  test('print what they say', async () => {
    const programs = programsOf(document);
    assert.ok(programs.length > 0);
    for (const program of programs) {
      const expected = [...program.matchAll(/\/\/ → (.*)$/gm)].map(([, line]) => `${line}\n`).join('');
      assert.notEqual(expected, '');
      assert.equal(await run(program), expected);
    }
  });

  test('can be read as JavaScript', async () => {
    const programs = programsOf(readme);
    assert.ok(programs.length >= 6, `${programs.length} programs`);
    for (const program of programs) await transform(program, { format: 'esm', target: 'esnext' });
  });

  test('greet in Node with ws', async () => {
    const program = programsOf(readme)
      .find((code) => code.includes("from 'ws'"))
      .replace('wss://example.org/chat', serverAddress('ws'));
    assert.equal(
      await run(`${program}
      socket.send('Ada');
      socket.onmessage = ({ data }) => { console.log(data); socket.close(); };
    `),
      'Hello Ada!\n',
    );
  });

  test('load the module from where they say', async () => {
    const program = programsOf(readme).find((code) => code.includes('load({ module'));
    assert.equal(
      await run(
        program.replace(
          "'https://cdn.example.org/steady-socket.wasm'",
          "import.meta.resolve('steady-socket/steady-socket.wasm')",
        ),
      ),
      '',
    );
    // And from nowhere else.
    await assert.rejects(
      run(program.replace('https://cdn.example.org', 'http://127.0.0.1:1')),
      /could not be loaded: http:\/\/127\.0\.0\.1:1\/steady-socket\.wasm could not be fetched/,
    );
  });
});
