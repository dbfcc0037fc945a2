// An empty project that installs the packed package.

import { readFile, readdir, symlink, writeFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { installPackage } from '../../lib/package.mjs';
import { MODULES } from './programs.mjs';

const HERE = fileURLToPath(new URL('..', import.meta.url));

/**
 * Makes one, with the files of a folder beside this.
 *
 * @param purpose - a word for the folder's name
 * @param options.files - `app`, which is a page, or `programs`
 * @param options.inline - whether they import the entries that embed the WebAssembly module
 * @param options.packages - other packages that they import
 * @returns `project` (its folder) and `remove`
 */
export async function makeProject(purpose, { files, inline = false, packages = [] }) {
  const { project, folder, remove } = await installPackage(purpose);
  try {
    for (const name of packages) await symlink(path.join(MODULES, name), path.join(project, 'node_modules', name));
    await copyFiles(files, project, inline);
    return { project, folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function copyFiles(name, project, inline) {
  const folder = path.join(HERE, name);
  await mkdir(project, { recursive: true });
  for (const file of await readdir(folder)) {
    const source = await readFile(path.join(folder, file), 'utf8');
    await writeFile(path.join(project, file), inline ? source.replaceAll("'steady-socket'", "'steady-socket/inline'") : source);
  }
}
