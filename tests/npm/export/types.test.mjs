// The declarations of exported classes, compiled with TypeScript at its strictest.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { scratchFolder } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { messages, typedHello } from './lib.mjs';

const CONSUMER = fileURLToPath(new URL('./typescript/consumer.ts', import.meta.url));
const GUIDE = fileURLToPath(new URL('../../../docs/rust-types.md', import.meta.url));
const COMPILER = path.join(
  path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin',
  'tsc',
);

describe('the declarations of exported classes', { timeout: 2 * TEST_TIMEOUT }, () => {
  let folder;
  before(async () => {
    folder = await scratchFolder('export-types');
    await cp(typedHello(), path.join(folder, 'typed-hello'), { recursive: true });
    await cp(messages(), path.join(folder, 'messages'), { recursive: true });
    await writeFile(path.join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  });
  after(() => folder && rm(folder, { recursive: true, force: true }));

  /** Compiles a program; rejects with the compiler's output. */
  async function compile(program) {
    await writeFile(path.join(folder, 'consumer.ts'), program);
    await writeFile(
      path.join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          // The declarations themselves are checked as well.
          skipLibCheck: false,
          target: 'es2022',
          lib: ['es2022', 'dom', 'dom.iterable', 'esnext.disposable'],
          types: [],
          module: 'esnext',
          moduleResolution: 'bundler',
        },
        files: ['consumer.ts'],
      }),
    );
    await runProgram(
      process.execPath,
      [COMPILER, '--project', path.join(folder, 'tsconfig.json'), '--pretty', 'false'],
      { cwd: folder },
    );
  }

  test('allow what has the Rust types, and nothing else', async () => {
    await compile(await readFile(CONSUMER, 'utf8'));
  });

  test('compile the guide', async () => {
    const guide = await readFile(GUIDE, 'utf8');
    const programs = [...guide.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, program]) => program);
    assert.ok(programs.length > 0, 'the guide has examples');
    for (const program of programs) await compile(program);
  });

  test('name the wrong field', async () => {
    const program =
      "import { HelloSocket } from './typed-hello/typed_hello.js';\nnew HelloSocket().send({ type: 'hello', nome: 'Ada' });\n";
    await assert.rejects(compile(program), /consumer\.ts\(2,\d+\): error .*'nome' does not exist/s);
  });

  test('bring the words of the Rust documentation into the editor', async () => {
    const declarations = await readFile(path.join(typedHello(), 'typed_hello.d.ts'), 'utf8');
    for (const words of [
      'Greets by name.',
      'What a client sends to',
      'The rule that a name breaks.',
      'How long a handshake may take.',
    ]) {
      assert.ok(declarations.includes(words), words);
    }
  });
});
