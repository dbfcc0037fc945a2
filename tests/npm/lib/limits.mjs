// How long anything may take before a test gives up on it. A ceiling against hanging, not an expectation: no test
// judges by it.

/** For one thing to happen, in milliseconds: a page to load, a connection to recover, a text to appear. */
export const PATIENCE = 30_000;

/** For one test, in milliseconds. */
export const TEST_TIMEOUT = 120_000;

/** Settles as `promise` does, or rejects after `patience`, stating what did not happen. */
export async function within(promise, what, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${patience} ms`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
