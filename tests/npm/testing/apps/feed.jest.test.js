import { afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';

import { testFeed } from './feed.cases.js';

const equal = (found, expected) => expect(found).toEqual(expected);

testFeed(
  { test, beforeAll, beforeEach, afterEach, equal },
  {
    install: () => jest.useFakeTimers(),
    restore: () => jest.useRealTimers(),
    advance: (milliseconds) => jest.advanceTimersByTime(milliseconds),
    advanceAsync: (milliseconds) => jest.advanceTimersByTimeAsync(milliseconds),
    count: () => jest.getTimerCount(),
  },
);
