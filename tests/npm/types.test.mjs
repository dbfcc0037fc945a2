// The declarations of the packed package, compiled with TypeScript at its strictest.

import { after, before, describe, test } from 'node:test';
import { copyFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { TEST_TIMEOUT } from './lib/limits.mjs';
import { installPackage, runProgram } from './lib/package.mjs';

const FOLDER = fileURLToPath(new URL('./typescript', import.meta.url));
/** Programs that use every declaration. */
const PROGRAMS = ['consumer.ts', 'session.ts', 'testing.ts'];
const COMPILER = path.join(
  path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin',
  'tsc',
);

describe('the declarations', { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('typescript');
    for (const program of PROGRAMS) await copyFile(path.join(FOLDER, program), path.join(installed.project, program));
  });
  after(() => installed?.remove());

  for (const [module, moduleResolution] of [
    ['esnext', 'bundler'],
    ['nodenext', 'nodenext'],
  ]) {
    test(`compile with --strict and moduleResolution ${moduleResolution}`, async () => {
      const config = path.join(installed.project, `tsconfig.${moduleResolution}.json`);
      await writeFile(
        config,
        JSON.stringify({
          compilerOptions: {
            strict: true,
            noEmit: true,
            exactOptionalPropertyTypes: true,
            noUncheckedIndexedAccess: true,
            // The package's own declarations are checked as well.
            skipLibCheck: false,
            target: 'es2022',
            lib: ['es2022', 'dom', 'dom.iterable'],
            types: [],
            module,
            moduleResolution,
          },
          files: PROGRAMS,
        }),
      );
      await runProgram(process.execPath, [COMPILER, '--project', config, '--pretty', 'false'], {
        cwd: installed.project,
      });
    });
  }
});
