// How the demo page handles names and answers, without a page.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFile } from 'node:fs/promises';

// The page's modules are `.js` files without a package.json, which only newer versions of Node recognise as modules;
// with an explicit type, every version does.
const source = await readFile(new URL('../../www/hello.js', import.meta.url), 'utf8');
const { decodeAnswer, encodeHello, nameProblem, printable } = await import(
  `data:text/javascript,${encodeURIComponent(source)}`
);

test('names are judged as the server judges them', () => {
  // The table of the server's own test.
  for (const name of ['Ada', ' Ada ', 'José Ñandú 世界 👩‍🚀', '<b>&"\'', 'é'.repeat(256), '😀'.repeat(256), '\uFEFF']) {
    assert.equal(nameProblem(name), null, JSON.stringify(name));
  }
  for (const [name, problem] of [
    ['', /enter a name/],
    [' \u3000\u00a0', /enter a name/],
    ['\r\n', /enter a name/],
    ['\u0085', /enter a name/],
    ['é'.repeat(257), /257 characters.*256/],
    ['é'.repeat(65536), /65536 characters.*256/],
    ['a\nb', /Character 2 /],
    ['\u001b[31m', /Character 1 /],
    ['é\0', /Character 2 /],
    ['x\u007f', /Character 2 /],
    ['😀\u0085y', /Character 2 /],
    ['x\udc00', /Character 2 /],
  ])
    assert.match(nameProblem(name), problem, JSON.stringify(name.slice(0, 9)));
});

test('a name is sent as it is', () => {
  assert.equal(encodeHello('Ada'), '{"type":"hello","name":"Ada"}');
  assert.deepEqual(JSON.parse(encodeHello('"\\</script>')), { type: 'hello', name: '"\\</script>' });
});

test('answers are read, whatever they are', () => {
  for (const [data, kind, text] of [
    ['{"type":"greeting","text":"Hello Ada!"}', 'greeting', /^Hello Ada!$/],
    ['{"type":"greeting","text":"Hello\\u202e\\n!","more":1}', 'greeting', /^HelloU\+202EU\+000A!$/],
    ['{"type":"invalid","reason":{"problem":"empty"}}', 'refusal', /enter a name/],
    ['{"type":"invalid","reason":{"problem":"tooLong","length":300,"max":256}}', 'refusal', /300.*256/],
    ['{"type":"invalid","reason":{"problem":"tooLong","length":"<b>","max":{}}}', 'refusal', /does not know/],
    ['{"type":"invalid","reason":{"problem":"controlCharacter","position":3}}', 'refusal', /Character 4/],
    ['{"type":"invalid","reason":{"problem":"tomorrow’s"}}', 'refusal', /does not know/],
    ['{"type":"malformed","text":"json: the message ends too early"}', 'refusal', /ends too early/],
    ['{"type":"greeting","text":7}', 'unknown', /type/],
    ['{"type":"invalid","reason":null}', 'unknown', /type/],
    ['{"__proto__":{"type":"greeting","text":"x"}}', 'unknown', /type/],
    ['[]', 'unknown', /type/],
    ['null', 'unknown', /not an object/],
    ['"greeting"', 'unknown', /not an object/],
    ['{', 'unknown', /not JSON/],
    [new ArrayBuffer(3), 'unknown', /binary/],
  ]) {
    const answer = decodeAnswer(data);
    assert.equal(answer.kind, kind, String(data));
    assert.match(answer.text, text, String(data));
  }
});

test('what is shown is bounded and printable', () => {
  assert.equal(printable('x'.repeat(1000), 5), 'xxxxx…');
  assert.equal(printable('😀'.repeat(5), 5), '😀'.repeat(5));
  assert.equal(printable('a\u0000\u2028\u2066\ud800'), 'aU+0000U+2028U+2066U+D800');
  assert.equal(printable('👩‍🚀'), '👩‍🚀');
});
