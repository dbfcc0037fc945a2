// The declarations of typed sockets, compiled with TypeScript at its strictest, together with those of schema
// libraries.

import { after, before, describe, test } from 'node:test';
import { copyFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage, runProgram } from '../lib/package.mjs';
import { COMPILER, MODULES, STRICT } from './compiler.mjs';

const PROGRAM = fileURLToPath(new URL('../typescript/typed.ts', import.meta.url));

describe('the declarations of typed sockets', { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('typed-typescript');
    await copyFile(PROGRAM, path.join(installed.project, 'typed.ts'));
    for (const name of ['@ark', 'arkregex', 'arktype', 'valibot', 'zod']) {
      await symlink(path.join(MODULES, name), path.join(installed.project, 'node_modules', name));
    }
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
          compilerOptions: { ...STRICT, module, moduleResolution },
          files: ['typed.ts'],
        }),
      );
      await runProgram(process.execPath, [COMPILER, '--project', config, '--pretty', 'false'], {
        cwd: installed.project,
      });
    });
  }
});
