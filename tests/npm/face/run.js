// Runs the cases, in the realm that imports this file.

import { cases } from './cases.js';
import { Context } from './harness.js';

let uncaught = [];
addEventListener('error', (event) => {
  uncaught.push(event.error ?? new Error(event.message));
  event.preventDefault();
});
addEventListener('unhandledrejection', (event) => {
  uncaught.push(event.reason);
  event.preventDefault();
});

/** Runs one case; resolves to `null` if it passes, and to what went wrong otherwise. */
export async function run(name, server) {
  uncaught = [];
  const context = new Context(server, uncaught);
  try {
    await cases[name](context);
    if (uncaught.length > 0) throw new Error(`uncaught: ${uncaught.map(String).join('; ')}`);
    return null;
  } catch (error) {
    // Firefox omits the message from the stack.
    return `${error}\n${error?.stack ?? ''}\n${context.history()}`;
  } finally {
    context.end();
  }
}
