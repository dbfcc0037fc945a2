// The components of docs/frameworks.md, built verbatim and used in Chromium, against the hello server.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { compile as compileSvelte } from 'svelte/compiler';
import { compileScript, parse as parseVue } from 'vue/compiler-sfc';

import { scratchFolder, serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { openRealm } from '../lib/realm.mjs';
import { MODULES } from '../typed/compiler.mjs';

const GUIDE = new URL('../../../docs/frameworks.md', import.meta.url);

/**
 * For each framework: how the guide marks its components, how to turn them into JavaScript, and a program that displays
 * one and has `show(url)` and `hide()`.
 */
const FRAMEWORKS = {
  React: {
    block: 'jsx',
    compile: (source) => ({ contents: source, loader: 'jsx' }),
    program: `
      import { StrictMode, createElement } from 'react';
      import { createRoot } from 'react-dom/client';
      import Hello from './Hello.jsx';
      const root = createRoot(document.getElementById('app'));
      globalThis.show = (url) => root.render(createElement(StrictMode, null, createElement(Hello, { url })));
      globalThis.hide = () => root.unmount();
    `,
  },
  Svelte: {
    block: 'svelte',
    compile: (source) => ({
      contents: compileSvelte(source, { generate: 'client', dev: true, css: 'external' }).js.code,
      loader: 'js',
    }),
    program: `
      import { flushSync, mount, unmount } from 'svelte';
      import Page from './Page.svelte';
      const page = mount(Page, { target: document.getElementById('app') });
      globalThis.show = (url) => { page.show(url); flushSync(); };
      globalThis.hide = () => unmount(page);
    `,
    more: {
      'Page.svelte': `
        <script>
          import Hello from './Hello.svelte';
          let url = $state(null);
          export function show(next) { url = next; }
        </script>
        {#if url}<Hello {url} />{/if}
      `,
    },
  },
  Vue: {
    block: 'vue',
    compile(source) {
      const { descriptor, errors } = parseVue(source);
      assert.deepEqual(errors, []);
      return { contents: compileScript(descriptor, { id: 'hello', inlineTemplate: true }).content, loader: 'js' };
    },
    program: `
      import { createApp, h, ref } from 'vue';
      import Hello from './Hello.vue';
      const url = ref(null);
      const app = createApp({ render: () => url.value && h(Hello, { url: url.value }) });
      app.mount('#app');
      globalThis.show = (next) => { url.value = next; };
      globalThis.hide = () => app.unmount();
    `,
  },
};

/** Records the sockets created, and makes every wait a second. */
const WATCHING = `
  globalThis.made = [];
  globalThis.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      made.push(this);
    }
  };
  Math.random = () => 0.2;
`;

const PAGE =
  '<!doctype html><meta charset="utf-8"><title>Hello</title><link rel="icon" href="data:,"><div id="app"></div>' +
  '<script src="watching.js"></script><script type="module" src="program.js"></script>';

describe('the components of the guide to frameworks', { timeout: 3 * TEST_TIMEOUT }, () => {
  let realm;
  let guide;
  /** The built programs, in a folder for each framework. */
  let built;
  let ids = 0;
  before(async () => {
    guide = await readFile(GUIDE, 'utf8');
    built = await scratchFolder('frameworks-built');
    realm = await openRealm({ purpose: 'frameworks', routes: { '/built/': built } });
    for (const [name, framework] of Object.entries(FRAMEWORKS)) await bundle(name, framework);
  });
  after(async () => {
    await realm?.close();
    if (built) await rm(built, { recursive: true });
  });
  beforeEach(() => {
    realm.complaints.length = 0;
  });

  for (const name of Object.keys(FRAMEWORKS)) {
    test(`${name}: greets, shows how the connection is, comes back, and leaves nothing behind`, async () => {
      const { page } = realm;
      const status = page.getByRole('status');
      const becomes = (text) =>
        page.waitForFunction((wanted) => document.querySelector('[role=status]')?.textContent.match(wanted), text);
      const alive = () =>
        page.evaluate(() =>
          made.filter(({ readyState }) => readyState < 2).map(({ url }) => new URL(url).searchParams.get('id')),
        );
      await page.goto(`${realm.origin}/built/${name}/page.html`);
      await page.waitForFunction(() => globalThis.show !== undefined);

      const [first, second] = [newId(name), newId(name)];
      await page.evaluate((url) => show(url), url(first));
      await becomes('^open$');
      await page.getByRole('button').click();
      await page.getByText('Hello Ada!').waitFor();
      // React's StrictMode mounts twice.
      assert.deepEqual(await alive(), [first]);

      await cut(first);
      await becomes('^back in 1 s$');
      await page.getByRole('button').click();
      await becomes('^open$');
      await page.waitForFunction(() => document.querySelectorAll('li').length === 2);

      await page.evaluate((url) => show(url), url(second));
      await page.waitForFunction(
        (id) => made.some((socket) => socket.url.endsWith(id) && socket.readyState === 1),
        second,
      );
      await becomes('^open$');
      await page.getByRole('button').click();
      await page.waitForFunction(() => document.querySelectorAll('li').length === 3);
      assert.deepEqual(await alive(), [second]);
      assert.equal(await status.textContent(), 'open');

      await page.evaluate(() => hide());
      await page.waitForFunction(() => made.every(({ readyState }) => readyState === 3));
      assert.equal(await status.count(), 0);
      assert.deepEqual(realm.complaints, []);
    });
  }

  function newId(name) {
    ids += 1;
    return `frameworks-${name}-${process.pid}-${ids}`;
  }

  function url(id) {
    return `${serverAddress('ws')}/?id=${id}`;
  }

  async function cut(id) {
    const response = await fetch(`${serverAddress()}/control/cut?id=${id}`, { method: 'POST' });
    assert.deepEqual([response.status, (await response.json()).connections], [200, 1]);
  }

  /** Builds the program that displays a component, in a folder of the project that has the package installed. */
  async function bundle(name, { block, compile, program, more = {} }) {
    const found = [...guide.matchAll(new RegExp(`^\`\`\`${block}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))];
    assert.equal(found.length, 1, `the guide has one component for ${name}`);
    const sources = path.join(realm.project, name);
    const output = path.join(built, name);
    for (const folder of [sources, output]) await mkdir(folder);
    const files = { [`Hello.${block}`]: found[0][1], 'program.js': program, ...more };
    for (const [file, text] of Object.entries(files)) await writeFile(path.join(sources, file), text);
    await build({
      entryPoints: [path.join(sources, 'program.js')],
      outfile: path.join(output, 'program.js'),
      bundle: true,
      format: 'esm',
      jsx: 'automatic',
      target: 'es2022',
      logLevel: 'silent',
      nodePaths: [MODULES],
      define: {
        'process.env.NODE_ENV': '"development"',
        __VUE_OPTIONS_API__: 'false',
        __VUE_PROD_DEVTOOLS__: 'false',
        __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
      },
      plugins: [
        {
          name,
          setup(esbuild) {
            esbuild.onLoad({ filter: new RegExp(`\\.${block}$`) }, async ({ path: file }) =>
              compile(await readFile(file, 'utf8')),
            );
          },
        },
      ],
    });
    await copyFile(path.join(realm.folder, 'steady-socket.wasm'), path.join(output, 'steady-socket.wasm'));
    await writeFile(path.join(output, 'page.html'), PAGE);
    await writeFile(path.join(output, 'watching.js'), WATCHING);
  }
});
