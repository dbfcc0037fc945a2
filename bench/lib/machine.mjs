// The machine and the tools behind the figures.

import { readFile } from 'node:fs/promises';
import os from 'node:os';

export async function machine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() || 'unknown',
    cores: cpus.length,
    memory: `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB`,
    os: await systemName(),
    kernel: `${os.type()} ${os.release()}`,
  };
}

async function systemName() {
  try {
    const release = await readFile('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? os.version();
  } catch {
    return os.version();
  }
}

/** The version of an npm package installed for the measurements. */
export async function packageVersion(name) {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(await readFile(manifest, 'utf8')).version;
}
