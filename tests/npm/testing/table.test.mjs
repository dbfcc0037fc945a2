// A connection of the test kit does what the table of both kits says (`client/tests/kit.txt`).

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { importPackage } from '../typed/package.mjs';

const URL_OF_CHAT = 'ws://example.test/chat';

/** The tests of both kits run it. */
const TABLE = new URL('../../../client/tests/kit.txt', import.meta.url);

/** The cases: `[title, lines]`. */
function casesOf(table) {
  const cases = [];
  for (const line of table.split('\n')) {
    if (line.startsWith('case ')) cases.push([line.slice('case '.length), []]);
    else if (line !== '' && !line.startsWith('#')) cases.at(-1)[1].push(line);
  }
  return cases;
}

/** A socket and its connection, which take the steps of a case. */
class Case {
  constructor(kit) {
    this.kit = kit;
    this.options = { handshake: 'stall', closing: 'stall', closeLimit: Infinity };
    this.offers = [];
    this.events = [];
  }

  with(settings) {
    const [name, ...values] = settings.split(' ');
    if (name === 'offers') this.offers = values;
    else [this.options[name]] = values;
  }

  /** Before the server decides on the handshake. */
  start() {
    this.server = new this.kit.FakeServer(this.options);
    this.socket = new this.server.WebSocket(URL_OF_CHAT, this.offers);
    this.connection = this.server.last;
    for (const type of ['open', 'message', 'error', 'close']) {
      this.socket.addEventListener(type, (event) => {
        const { code, reason, wasClean, data } = event;
        const details = type === 'close' ? [code, reason, wasClean && 'clean'] : [data];
        this.events.push([type, ...details.filter(Boolean)].join(' '));
      });
    }
  }

  query(what) {
    const { connection, socket } = this;
    switch (what) {
      case 'received':
        return connection.received.join(' ') || 'nothing';
      case 'protocol':
        return socket.protocol || 'nothing';
      case 'buffered':
        return String(socket.bufferedAmount);
      case 'closed with': {
        const { closedWith } = connection;
        if (closedWith === null) return 'nothing';
        return closedWith.code === undefined ? 'no code' : `${closedWith.code} ${closedWith.reason}`.trim();
      }
    }
    return undefined;
  }

  async act(action) {
    const { connection, socket } = this;
    const number = (text) => (text === undefined ? undefined : Number(text));
    const [word, ...rest] = action.split(' ');
    const acts = {
      settle: () => this.server.settled(),
      client: ([what, one, two]) => (what === 'send' ? socket.send(one) : socket.close(number(one), two)),
      open: ([protocol]) => connection.open(protocol === undefined ? {} : { protocol }),
      refuse: () => connection.refuse(),
      send: ([text]) => connection.send(text),
      close: ([code, reason]) => connection.close(number(code), reason),
      finish: () => connection.finishClose(),
      cut: ([, error]) => connection.cut({ error: error === 'error' }),
      'half-open': () => connection.halfOpen(),
      hold: () => connection.hold(),
      drain: ([bytes]) => connection.drain(number(bytes)),
      resume: () => connection.resume(),
    };
    await acts[word](rest);
  }

  async step(line) {
    const [action, expected, events] = line.split('|').map((column) => column.trim());
    const found = this.query(action);
    if (found !== undefined) {
      assert.equal(found, expected, line);
      return;
    }
    let thrown = null;
    try {
      for (const one of action.split(', ')) await this.act(one);
    } catch (error) {
      thrown = error;
    }
    if (expected === 'impossible') {
      assert.ok(thrown, line);
      return;
    }
    assert.equal(thrown, null, line);
    assert.deepEqual([this.connection.state, this.events.splice(0).join(', ')], [expected, events], line);
  }
}

describe('a connection of the test kit', { timeout: TEST_TIMEOUT }, async () => {
  let installed;
  let kit;
  before(async () => {
    installed = await importPackage('table');
    kit = await import(pathToFileURL(path.join(installed.folder, 'testing/index.js')).href);
  });
  after(() => installed?.remove());

  for (const [title, lines] of casesOf(await readFile(TABLE, 'utf8'))) {
    test(title, async () => {
      const one = new Case(kit);
      const settings = lines.filter((line) => line.startsWith('with '));
      for (const line of settings) one.with(line.slice('with '.length));
      one.start();
      for (const line of lines.slice(settings.length)) await one.step(line);
      one.server.restore();
    });
  }
});
