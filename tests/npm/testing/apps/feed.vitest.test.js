import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';

import { testFeed } from './feed.cases.js';

const equal = (found, expected) => expect(found).toEqual(expected);

testFeed(
  { test, beforeAll, beforeEach, afterEach, equal },
  {
    install: () => vi.useFakeTimers(),
    restore: () => vi.useRealTimers(),
    advance: (milliseconds) => vi.advanceTimersByTime(milliseconds),
    advanceAsync: (milliseconds) => vi.advanceTimersByTimeAsync(milliseconds),
    count: () => vi.getTimerCount(),
  },
);
