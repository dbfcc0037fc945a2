// What the package's other modules import from here, besides the class.

export { dictionary, toNumber, wrongKind } from './check.js';
export { OPTION_NAMES } from './convert.js';
export { defineHandlers, dispatch, plainEvent, report } from './events.js';
export { INBOX_BYTES, INBOX_FULL, INBOX_MESSAGES } from './limits.js';
export { MAX } from './options.js';
export { checkRoom } from './failure.js';
