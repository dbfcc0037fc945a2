import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, mock, test } from 'node:test';
import { fakeTime } from 'steady-socket/testing';

import { testFeed } from './feed.cases.js';

let time;
const advance = (milliseconds) => time.advance(milliseconds);

testFeed(
  { test, beforeAll: before, beforeEach, afterEach, equal: assert.deepEqual },
  {
    install() {
      mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
      time = fakeTime({ tick: (milliseconds) => mock.timers.tick(milliseconds) });
    },
    restore() {
      time.restore();
      mock.timers.reset();
    },
    advance,
    advanceAsync: advance,
  },
);
