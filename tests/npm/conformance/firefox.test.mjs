// The cases in Firefox.

import { launchFirefox } from '../lib/firefox.mjs';
import { conformance } from './lib/suite.mjs';

conformance('Firefox', launchFirefox);
