// The packed package, installed as a user installs it.

import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { required, scratchFolder } from './environment.mjs';
import { PATIENCE } from './limits.mjs';

const execute = promisify(execFile);

/** Runs a program to its end; if it fails, the error has its output. */
export async function runProgram(program, args, options = {}) {
  try {
    return await execute(program, args, { timeout: 4 * PATIENCE, ...options });
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')} failed:\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

/**
 * Installs the packed package in a new project.
 *
 * @param purpose - a word for the folder's name
 * @param options.inside - whether imports of the tests' packages must resolve in the project
 * @returns `project` (the project's folder), `folder` (the installed package's) and `remove`
 */
export async function installPackage(purpose, { inside = false } = {}) {
  const project = await scratchFolder(purpose, inside);
  const remove = () => rm(project, { recursive: true, force: true });
  try {
    await writeFile(
      path.join(project, 'package.json'),
      JSON.stringify({ name: 'consumer', version: '1.0.0', private: true, type: 'module' }),
    );
    const tarball = path.resolve(required('STEADY_SOCKET_TARBALL'));
    await runProgram('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball], {
      cwd: project,
    });
    return { project, folder: path.join(project, 'node_modules', 'steady-socket'), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
