// Every name of ours in docs/migrating.md exists.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';

const read = (path) => readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
const document = await read('docs/migrating.md');
const declarations = [
  await read('client/src/declarations.d.ts'),
  await read('client-wasm/js/reconnecting-websocket.d.ts'),
].join('\n');

/** The names of all options, of the constructor and of messages. */
const options = ['SocketOptions', 'ReconnectingWebSocketOptions', 'SendOptions'].flatMap((name) => {
  const [, body] = new RegExp(`^export interface ${name} (?:extends \\w+ )?\\{\\n([\\s\\S]*?)^\\}`, 'm').exec(
    declarations,
  );
  return [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, option]) => option);
});

/** Words of the language, of `WebSocket` and of the text's examples. */
const OTHER_WORDS = ['new', 'data', 'socket', 'AbortSignal', 'WebSocket', 'onopen', 'onmessage', 'onerror', 'onclose'];

describe('docs/migrating.md', () => {
  test('names options that there are', () => {
    const named = [...document.matchAll(/\boption `(\w+)`/g)].map(([, name]) => name);
    assert.ok(named.length > 40, `options that are named: ${named.length}`);
    for (const name of named)
      assert.ok(options.includes(name), `there is no option ${name}; there are ${options.join(', ')}`);
  });

  test('gives options that there are in its examples', () => {
    const examples = [...document.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
    const ours = examples.filter((code) => code.includes("from 'steady-socket'"));
    assert.ok(ours.length > 0, 'there is an example');
    for (const code of ours) {
      const [, given] = /new ReconnectingWebSocket\([^{]*\{(.*)\}\)/.exec(code);
      const names = [...given.matchAll(/(\w+):/g)].map(([, name]) => name);
      assert.ok(names.length > 0, 'the example has options');
      for (const name of names) assert.ok(options.includes(name), `there is no option ${name}`);
    }
  });

  test('names methods, events and fields that there are', () => {
    const cells = [...document.matchAll(/^\| .*? \| (.*) \|$/gm)]
      .map(([, cell]) => cell)
      .filter((cell) => cell !== 'ours');
    assert.ok(cells.length > 50, `rows of the tables: ${cells.length}`);
    const declared = new Set(declarations.match(/\w+/g));
    for (const cell of cells) {
      for (const [, code] of cell.matchAll(/`([^`]+)`/g)) {
        for (const name of code.match(/[A-Za-z_]\w*/g) ?? []) {
          assert.ok(declared.has(name) || OTHER_WORDS.includes(name), `the declarations have no ${name}: ${cell}`);
        }
      }
    }
  });
});
