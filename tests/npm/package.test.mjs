// The packed package, as checked by tools for packages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

import { required } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { installPackage, runProgram } from './lib/package.mjs';

const require = createRequire(import.meta.url);

describe('the package', { timeout: 2 * TEST_TIMEOUT }, () => {
  let installed;
  let manifest;
  before(async () => {
    installed = await installPackage('package');
    manifest = JSON.parse(await readFile(path.join(installed.folder, 'package.json'), 'utf8'));
  });
  after(() => installed?.remove());

  /** The files that npm packs. */
  async function packed() {
    const { stdout } = await runProgram('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: installed.folder,
    });
    return JSON.parse(stdout)[0]
      .files.map((file) => file.path)
      .sort();
  }

  test('says all that a registry shows', () => {
    assert.equal(manifest.name, 'steady-socket');
    assert.equal(manifest.type, 'module');
    assert.equal(manifest.license, 'MIT OR Apache-2.0');
    assert.match(manifest.version, /^\d+\.\d+\.\d+$/);
    for (const field of ['description', 'homepage', 'bugs']) assert.ok(manifest[field].length > 20, field);
    assert.match(manifest.repository.url, /^git\+https:.*\.git$/);
    assert.ok(manifest.keywords.includes('websocket'));
    assert.equal(manifest.engines.node, '>=20.16');
  });

  test('depends on nothing, and runs nothing when it is installed', () => {
    for (const field of ['dependencies', 'peerDependencies', 'optionalDependencies', 'scripts', 'bin']) {
      assert.equal(manifest[field], undefined, field);
    }
  });

  test('has no fault that publint finds', async () => {
    const { messages } = await publint({ pkgDir: installed.folder, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, manifest)),
      [],
    );
  });

  test('has types that are right for every way in which they are looked up', async () => {
    const attw = path.join(path.dirname(require.resolve('@arethetypeswrong/cli/package.json')), 'dist/index.js');
    const { stdout } = await runProgram(process.execPath, [
      attw,
      path.resolve(required('STEADY_SOCKET_TARBALL')),
      '--profile',
      'node16',
      '--format',
      'table-flipped',
      '--no-color',
      '--no-emoji',
      // TypeScript does not consider that a module.
      '--exclude-entrypoints',
      'steady-socket.wasm',
      'steady-socket-session.wasm',
      // Of the entries with sessions.
      '--ignore-rules',
      'cjs-resolves-to-esm',
    ]);
    for (const name of Object.keys(manifest.exports).filter((key) => !key.includes('.', 1))) {
      const entry = `steady-socket${name.slice(1)}`;
      // The entries with sessions are modules alone: CommonJS imports them as `await import()`.
      const commonjs = name.startsWith('./session') ? 'OK \\(ESM\\)' : 'OK \\(CJS\\)';
      assert.match(stdout, new RegExp(`"${entry}" +│ ${commonjs} +│ OK \\(ESM\\) +│ OK +│`), `${entry}: ${stdout}`);
    }
  });

  test('packs what belongs in it and nothing else', async () => {
    const all = await packed();
    const [session, rest] = [true, false].map((is) => all.filter((file) => file.startsWith('session/') === is));
    const files = rest.filter((file) => !file.startsWith('cjs/'));
    // CommonJS has its own copy of each, except what is embedded for programs without a disk.
    const embedded = [
      'embedded-module.js',
      ...['module.js', 'server_half_bg.js'].map((of) => `testing/server-half/${of}`),
    ];
    const translated = files.filter((file) => /\.(js|d\.ts)$/.test(file) && !embedded.includes(file));
    assert.deepEqual(
      rest.filter((file) => !files.includes(file)),
      ['package.json', ...translated].map((file) => `cjs/${file}`).sort(),
    );
    // The name of this folder contains a hash of its content.
    const snippets = 'wasm/snippets/steady-socket-wasm-';
    const withoutHash = (file) =>
      file.startsWith(snippets) ? `${snippets}${file.slice(file.indexOf('/', snippets.length))}` : file;
    const named = files.map(withoutHash);
    const modules = named.filter((file) => [snippets, 'typed/', 'testing/'].some((folder) => file.startsWith(folder)));
    for (const file of modules) assert.match(file, /\/[\w-]+(\.js|\.d\.ts)$/, file);
    assert.deepEqual(
      named.filter((file) => !modules.includes(file)),
      [
        'LICENSE-APACHE',
        'LICENSE-MIT',
        'README.md',
        'all.js',
        'embedded-module.js',
        'embedded.js',
        'file.js',
        'index.d.ts',
        'index.js',
        'inline.d.ts',
        'inline.js',
        'loader.js',
        'package.json',
        'steady-socket.wasm',
        'wasm/steady_socket_wasm.d.ts',
        'wasm/steady_socket_wasm.js',
        'websocket-inline.d.ts',
        'websocket-inline.js',
        'websocket.d.ts',
        'websocket.js',
      ].sort(),
    );
    // The entry with sessions has a copy of its own of what it needs, without declarations of its own for that.
    const own = session.map((file) => withoutHash(file.slice('session/'.length)));
    const copied = modules.filter((file) => !file.startsWith('testing/') && !file.endsWith('.d.ts'));
    assert.deepEqual(
      own.filter((file) => !file.startsWith(snippets) && !copied.includes(file)),
      [
        'all.js',
        'embedded-module.js',
        'embedded.js',
        'file.js',
        'index.d.ts',
        'index.js',
        'inline.d.ts',
        'inline.js',
        'loader.js',
        'steady-socket-session.wasm',
        'typed-session.js',
        'typed/msgpack.d.ts',
        'wasm/steady_socket_wasm.js',
      ].sort(),
    );
    assert.deepEqual(
      copied.filter((file) => !file.startsWith(snippets) && !own.includes(file)),
      [],
    );
    assert.deepEqual(
      targets(manifest.exports).filter((file) => !all.includes(file)),
      [],
      'what `exports` names is packed',
    );
    assert.deepEqual(
      manifest.sideEffects.map((file) => file.slice(2)).filter((file) => !file.includes('*') && !all.includes(file)),
      [],
      'and what `sideEffects` names',
    );
  });

  test('imports nothing that it does not pack', async () => {
    const files = await packed();
    for (const file of files.filter((name) => /\.(js|d\.ts)$/.test(name))) {
      const source = await readFile(path.join(installed.folder, file), 'utf8');
      const imports = [
        ...source.matchAll(/^(?:import|export)\b(?:[^;']*?from)? ?'([^']+)';/gm),
        ...source.matchAll(/\brequire\(["'](\.[^"']+)["']\)/g),
      ];
      for (const [, target] of imports) {
        const resolved = path.posix.join(path.posix.dirname(file), target);
        assert.ok(files.includes(resolved), `${file} imports ${target}`);
      }
    }
  });
});

/** Every file referenced by an `exports` field. */
function targets(exports) {
  if (typeof exports === 'string') return [exports.replace(/^\.\//, '')];
  return Object.values(exports).flatMap(targets);
}
