// Deno, with the packages that npm installed.

import { describeRuntime } from './lib/outside-browsers.mjs';
import { runtime } from './lib/programs.mjs';

describeRuntime('Deno', {
  program: runtime('deno'),
  // Only the permissions that the programs need: to read the package, and to reach the server.
  args: ['run', '--quiet', '--no-remote', '--node-modules-dir=manual', '--allow-read=.', '--allow-net=127.0.0.1'],
});
