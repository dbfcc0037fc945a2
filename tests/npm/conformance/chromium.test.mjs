// The cases in Chromium.

import { launchChromium } from './lib/chromium.mjs';
import { conformance } from './lib/suite.mjs';

conformance('Chromium', launchChromium);
