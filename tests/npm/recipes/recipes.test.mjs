// The programs of docs/recipes.md, each in a process of its own, against a server of its protocol: how many connections
// exist at each moment, and what is left afterwards.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { installPackage, runProgram } from '../lib/package.mjs';
import { COMPILER, MODULES } from '../typed/compiler.mjs';
import { PROTOCOLS } from './protocols.mjs';
import { startServer } from './server.mjs';

const DOCUMENT = fileURLToPath(new URL('../../../docs/recipes.md', import.meta.url));

/** The libraries of the recipes, and the other packages they import. */
const PACKAGES = [
  'graphql-ws',
  'graphql',
  '@stomp/stompjs',
  'rpc-websockets',
  'y-websocket',
  'yjs',
  'mqtt',
  'phoenix',
  'viem',
  'rxjs',
  'ws',
];

describe('docs/recipes.md', { timeout: 4 * TEST_TIMEOUT, concurrency: 3 }, () => {
  let installed;
  let document;
  let recipes;
  before(async () => {
    document = await readFile(DOCUMENT, 'utf8');
    recipes = new Map(
      [...document.matchAll(/^```js\n\/\/ (?<name>\S+)\.js\n(?<code>[\s\S]*?)^```$/gm)].map(({ groups }) => [
        groups.name,
        groups.code,
      ]),
    );
    installed = await installPackage('recipes');
    const modules = path.join(installed.project, 'node_modules');
    await mkdir(path.join(modules, '@stomp'));
    for (const name of PACKAGES) await symlink(path.join(MODULES, name), path.join(modules, name));
    for (const [name, code] of recipes) await writeFile(path.join(installed.project, `${name}.js`), code);
    await writeFile(path.join(installed.project, 'run.js'), await readFile(new URL('run.mjs', import.meta.url)));
  });
  after(() => installed?.remove());

  /** Runs a program of the project while a test uses it. The given number of handshakes is refused first. */
  async function running(file, refused, use) {
    const [name] = file.split('.');
    const server = await startServer(PROTOCOLS[name]);
    server.refuse(refused);
    const program = spawn(process.execPath, ['run.js', file, server.address], {
      cwd: installed.project,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const said = [];
    let shown = 0;
    createInterface({ input: program.stdout }).on('line', (line) => {
      if (line.startsWith('shows ')) shown += 1;
      else said.push(line);
    });
    // viem reports every failed attempt.
    program.stderr.setEncoding('utf8').on('data', (text) => {
      if (name !== 'viem') said.push(text);
    });
    const exit = new Promise((resolve) => {
      program.once('close', resolve);
    });
    /** Waits for a condition; an error states how far it got. */
    const becomes = async (condition, what) => {
      try {
        await within(
          (async () => {
            while (!condition()) {
              if (program.exitCode > 0) throw new Error(`the program failed before ${what}`);
              await new Promise((resolve) => {
                setTimeout(resolve, 20);
              });
            }
          })(),
          what,
        );
      } catch (error) {
        throw new Error(
          `${error.message}; ${server.live()} connections of ${JSON.stringify(server.counts)}; ${said.join('\n')}`,
          { cause: error },
        );
      }
    };
    try {
      await use({
        server,
        said,
        exit: () => within(exit, 'the end of the program'),
        stop: () => program.stdin.end('stop\n'),
        /** Asserts that the server's numbers arrive, over its only connection. */
        async works() {
          // More than an earlier connection may have left in flight.
          const enough = shown + 4;
          await becomes(() => shown >= enough, 'numbers came');
        },
        becomes,
        leavesNothing: () =>
          becomes(() => server.live() === 0 && server.subscriptions() === 0, 'the end at the server'),
      });
    } finally {
      program.kill('SIGKILL');
      await exit;
      await server.close();
    }
  }

  test('has a recipe for each protocol, with the versions that are installed', async () => {
    assert.deepEqual([...recipes.keys()], Object.keys(PROTOCOLS));
    const { devDependencies } = JSON.parse(await readFile(path.join(MODULES, '../package.json'), 'utf8'));
    const rows = [...document.matchAll(/^\| \[(?<name>[^\]]+)\]\(#\S+\) (?<version>[\d.]+)/gm)].map(
      ({ groups }) => groups,
    );
    assert.equal(rows.length, 8);
    for (const { name, version } of rows)
      assert.equal(version, devDependencies[name === 'MQTT.js' ? 'mqtt' : name], name);
  });

  test('fits the types of the libraries', async () => {
    const types = {
      '(url, show)': '(/** @type {string} */ url, /** @type {(value: any) => void} */ show)',
      'constructor(url, protocols)':
        'constructor(/** @type {string | URL} */ url, /** @type {string | string[] | undefined} */ protocols)',
      "= fromEvent(socket, 'message')":
        "= /** @type {import('rxjs').Observable<MessageEvent>} */ (fromEvent(socket, 'message'))",
    };
    const folder = path.join(installed.project, 'types');
    await mkdir(folder);
    // The types of phoenix are in another package.
    const files = [...recipes.keys()]
      .filter((name) => name !== 'phoenix')
      .map((name) => path.join(folder, `${name}.js`));
    for (const file of files) {
      let code = recipes.get(path.basename(file, '.js'));
      for (const [plain, typed] of Object.entries(types)) code = code.replaceAll(plain, typed);
      await writeFile(file, code);
    }
    const options = [
      '--noEmit',
      '--allowJs',
      '--checkJs',
      '--skipLibCheck',
      '--strict',
      '--noImplicitAny',
      'false',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--lib',
      'es2023,dom,dom.iterable',
    ];
    await runProgram(process.execPath, [COMPILER, ...options, ...files], { cwd: installed.project });
  });

  for (const name of Object.keys(PROTOCOLS)) {
    test(`${name}: one connection at a time over three losses, and none when it is ended`, () =>
      running(`${name}.js`, 0, async ({ server, said, works, becomes, stop, exit, leavesNothing }) => {
        const losses = [
          () => server.cut(),
          () => server.goodbye(1001),
          () => {
            server.refuse(1);
            server.cut();
          },
        ];
        await works();
        for (const [index, lose] of losses.entries()) {
          lose();
          await becomes(() => server.counts.made > index + 1, 'the next connection');
          await works();
          assert.deepEqual([server.live(), server.counts.made, server.counts.most], [1, index + 2, 1]);
        }
        assert.equal(server.counts.refused, 1);
        stop();
        assert.equal(await exit(), 0, said.join('\n'));
        assert.deepEqual(said, ['stopped']);
        await leavesNothing();
        assert.deepEqual([server.counts.made, server.counts.most], [4, 1]);
      }));

    // viem does not retry its first connection.
    const isFirstTriedAgain = name !== 'viem';
    test(`${name}: makes no connection any more when it is ended while there is none`, () =>
      running(
        `${name}.js`,
        isFirstTriedAgain ? 1 : 0,
        async ({ server, said, works, becomes, stop, exit, leavesNothing }) => {
          await works();
          const refused = isFirstTriedAgain ? 1 : 0;
          assert.equal(server.counts.refused, refused);
          server.refuse(Infinity);
          server.cut();
          await becomes(() => server.counts.refused > refused, 'the next attempt');
          stop();
          assert.equal(await exit(), 0, said.join('\n'));
          await leavesNothing();
          assert.equal(server.counts.made, 1);
        },
      ));
  }

  test('graphql-ws: without the option there are more connections, of which the library knows only one', async () => {
    const code = recipes.get('graphql-ws');
    const without = code.replace('reconnect: false', 'firstDelayMax: 0');
    assert.notEqual(without, code);
    await writeFile(path.join(installed.project, 'graphql-ws.without.js'), without);
    await running('graphql-ws.without.js', 0, async ({ server, works, becomes }) => {
      await works();
      server.cut();
      await works();
      await becomes(() => server.counts.most > 1, 'a second connection');
    });
  });
});
