// An empty project that installs the packed package.

import { readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { installPackage } from '../../lib/package.mjs';
import { MODULES } from './programs.mjs';

const HERE = fileURLToPath(new URL('..', import.meta.url));

/** For {@link makeProject}. */
export const INLINE = { 'steady-socket': 'steady-socket/inline' };

/**
 * Creates a project with the files of a folder next to this one.
 *
 * @param purpose - a word for the folder's name
 * @param options.files - `app`, which is a page, or `programs`
 * @param options.imports - replacements for some of their imports; `INLINE` embeds the WebAssembly module
 * @param options.packages - other packages that they import
 * @param options.inside - whether imports of the tests' packages must resolve in it
 * @returns `project` (its folder), `folder` (that of the installed package) and `remove`
 */
export async function makeProject(purpose, { files, imports = {}, packages = [], inside = false }) {
  const { project, folder, remove } = await installPackage(purpose, { inside });
  try {
    for (const name of packages) await symlink(path.join(MODULES, name), path.join(project, 'node_modules', name));
    await copyFiles(files, project, imports);
    return { project, folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function copyFiles(name, project, imports) {
  const folder = path.join(HERE, name);
  for (const file of await readdir(folder)) {
    let source = await readFile(path.join(folder, file), 'utf8');
    for (const [from, to] of Object.entries(imports)) source = source.replaceAll(`'${from}'`, `'${to}'`);
    await writeFile(path.join(project, file), source);
  }
}
