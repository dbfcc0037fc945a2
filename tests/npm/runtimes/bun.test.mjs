// Bun.

import { describeRuntime } from './lib/outside-browsers.mjs';
import { runtime } from './lib/programs.mjs';

describeRuntime('Bun', { program: runtime('bun'), canTerminate: true });
