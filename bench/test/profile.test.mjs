import assert from 'node:assert/strict';
import test from 'node:test';

import { profileTables, shares } from '../lib/profile.mjs';

function node(functionName, url, time) {
  return { callFrame: { functionName, url }, time };
}

test('the time of a profile is told by cause and by function', () => {
  const module = 'http://localhost/rust/contender-x_bg.wasm';
  const found = shares([
    node('dispatchEvent', '', 40),
    node('<messages::Line as serde::Deserialize>::deserialize', module, 20),
    node('steady_socket::driver::Inner<P>::tell', module, 5),
    node('steady_socket::driver::Inner<P>::tell', module, 5),
    node('__rust_alloc', module, 4),
    node('memcpy', module, 3),
    node('__wbg_data', 'http://localhost/rust/contender-x.js', 8),
    node('encodeInto', '', 10),
    node('', 'http://localhost/bench/main.js', 5),
    node('never', '', 0),
  ]);
  assert.deepEqual(found.causes, [
    ['the event and its dispatch', 0.4],
    ['serde', 0.2],
    ['steady-socket in WebAssembly', 0.1],
    ['encoding text', 0.1],
    ['the glue of wasm-bindgen', 0.08],
    ['the page: contenders in JavaScript, the harness', 0.05],
    ['allocating', 0.04],
    ['other WebAssembly', 0.03],
  ]);
  assert.deepEqual(found.functions[2], ['steady_socket::driver::Inner<P>::tell in contender-x_bg.wasm', 0.1]);
  assert.ok(!found.functions.some(([name]) => name === 'never'));

  const [causes] = profileTables('receive, x', found);
  assert.deepEqual(causes.slice(0, 2), [
    ['receive, x', 'of the time'],
    ['the event and its dispatch', '40.0 %'],
  ]);
});
