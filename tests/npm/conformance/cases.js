// All cases, in groups: `{ title, cases: { name: async (bench) => … } }`. This file imports nothing but cases, so that
// tests can read it without a browser.

import { closing } from './cases/closing.js';
import { construction } from './cases/construction.js';
import { events } from './cases/events.js';
import { handlers } from './cases/handlers.js';
import { reaching } from './cases/reaching.js';
import { receiving } from './cases/receiving.js';
import { sending } from './cases/sending.js';
import { shape } from './cases/shape.js';

export const groups = [shape, construction, reaching, handlers, events, closing, sending, receiving];
