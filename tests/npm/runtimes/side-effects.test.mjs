// A bundle contains the code that loads the module, although the program does not name any of it.
// ../typed/size.test.mjs tests that it contains no more than it needs.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import * as esbuild from 'esbuild';
import * as vite from 'vite';
import * as vite7 from 'vite-7';
import webpack from 'webpack';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { runtime } from './lib/programs.mjs';
import { makeProject } from './lib/project.mjs';

/** Programs that use one class and nothing else. */
const CLASSES = {
  ReconnectingWebSocket: (url) =>
    `const socket = new ReconnectingWebSocket('${url}', []); socket.send('Ada'); socket.onmessage = ({ data }) => { console.log(data); socket.close(); };`,
  TypedSocket: (url) =>
    `const socket = new TypedSocket('${url}/hello', { protocols: 'hello.json' }); socket.send({ type: 'hello', name: 'Ada' }); for await (const { text } of socket) { console.log(text); socket.close(); }`,
};

/** Bundles `entry.js` of a folder for Node, and returns the path of the result. */
const BUNDLERS = {
  async esbuild(project, name) {
    const outfile = path.join(project, name, 'esbuild.js');
    await esbuild.build({
      absWorkingDir: project,
      entryPoints: [`${name}.js`],
      outfile,
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'neutral',
      logLevel: 'error',
    });
    await copyFile(
      path.join(project, 'node_modules/steady-socket/steady-socket.wasm'),
      path.join(project, name, 'steady-socket.wasm'),
    );
    return outfile;
  },
  async webpack(project, name) {
    const stats = await promisify(webpack)({
      mode: 'production',
      target: 'node22',
      context: project,
      entry: `./${name}.js`,
      output: { path: path.join(project, name, 'webpack'), filename: 'out.mjs', module: true, chunkFormat: 'module' },
      experiments: { outputModule: true },
    });
    assert.deepEqual(stats.toJson({ errors: true }).errors, []);
    return path.join(project, name, 'webpack/out.mjs');
  },
  'Vite, by Rolldown': (project, name) => buildByVite(vite, project, name, 'vite'),
  'Vite 7, by Rollup': (project, name) => buildByVite(vite7, project, name, 'vite-7'),
};

async function buildByVite({ build }, project, name, folder) {
  await build({
    root: project,
    configFile: false,
    logLevel: 'error',
    build: {
      lib: { entry: `${name}.js`, formats: ['es'], fileName: () => 'out.js' },
      outDir: `${name}/${folder}`,
      target: 'es2022',
    },
  });
  return path.join(project, name, folder, 'out.js');
}

describe('a bundle of one class', { timeout: 4 * TEST_TIMEOUT }, () => {
  let consumer;
  before(async () => {
    consumer = await makeProject('side-effects', { files: 'programs' });
  });
  after(() => consumer?.remove());

  for (const bundler of Object.keys(BUNDLERS)) {
    for (const [name, entry] of [
      ['TypedSocket', 'steady-socket'],
      ['ReconnectingWebSocket', 'steady-socket/websocket/inline'],
    ]) {
      test(`made by ${bundler} of ${name} from ${entry} loads the module`, async () => {
        const { project } = consumer;
        const file = `${name}-${entry.replaceAll('/', '-')}`;
        await writeFile(
          path.join(project, `${file}.js`),
          `import { ${name} } from '${entry}';\n${CLASSES[name](serverAddress('ws'))}\n`,
        );
        const bundle = await BUNDLERS[bundler](project, file);
        const { stdout } = await runProgram(runtime('node-22'), [bundle], { cwd: project });
        assert.equal(stdout, 'Hello Ada!\n');
      });
    }
  }
});
