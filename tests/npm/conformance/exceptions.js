// Where a ReconnectingWebSocket with the options of settings.js differs from the browser's own `WebSocket`, and why.
// The tests fail if a listed note does not differ, just as they do if an unlisted one does.

const CHROMIUM = ['Chromium'];
const FIREFOX = ['Firefox'];
const BOTH = [...CHROMIUM, ...FIREFOX];

const SCRIPT =
  'When a script dispatches an event, the listeners run one after the other inside that script, and microtasks run when it ends. No script can change that.';
const CLAMP =
  'The standard rounds a code to the nearest integer, halves to even. Chromium truncates; Firefox and this class follow the standard.';
const REASON =
  'The standard sends a reason without a code with 1000. Chromium throws instead; Firefox and this class follow the standard.';

export const exceptions = [
  {
    case: 'the class is called WebSocket',
    browsers: BOTH,
    notes: ['name', 'tag', 'as a string'],
    reason: 'It is a different class, and its name says so.',
  },
  {
    case: 'an object of the class is an instance of WebSocket',
    browsers: BOTH,
    notes: ['instance'],
    reason:
      'Like WebSocket it extends EventTarget, since every instance of WebSocket connects, once and for all. TypeScript accepts it as a WebSocket.',
  },
  {
    case: 'relative URLs are relative to the page',
    browsers: FIREFOX,
    notes: ['""'],
    reason: 'By the standard, and in Chromium, an empty URL means that of the page. Firefox refuses it.',
  },
  {
    case: 'sub-protocols: what is offered to the server',
    browsers: BOTH,
    notes: ['null'],
    reason:
      'Given null, a WebSocket offers a sub-protocol called null. Here it means no sub-protocol, since it may precede the options.',
  },
  {
    case: 'an address that the policy of the page forbids',
    browsers: CHROMIUM,
    notes: ['events'],
    reason:
      'Chromium emits error alone, although the standard requires close, too. This class emits both, a second later.',
  },
  {
    case: 'an address that the policy of the page forbids',
    browsers: FIREFOX,
    notes: ['events'],
    reason:
      'Firefox throws its own exception from the constructor. This class follows the standard with a failed attempt: error, then close.',
  },
  { case: 'microtasks run between the events', browsers: BOTH, notes: ['order'], reason: SCRIPT },
  { case: 'microtasks run between error and close', browsers: BOTH, notes: ['order'], reason: SCRIPT },
  {
    case: 'events that a browser dispatches are trusted',
    browsers: BOTH,
    notes: ['open', 'message', 'error', 'close'],
    reason: 'Only events that the browser itself dispatches are trusted.',
  },
  {
    case: 'codes: what is taken, and what is thrown',
    browsers: CHROMIUM,
    notes: ['999.5 (999.5)', '1000.6 (1000.6)', '2999.5 (2999.5)', '4999.5 (4999.5)'],
    reason: CLAMP,
  },
  { case: 'a code is rounded, and the reason comes back', browsers: CHROMIUM, notes: ['3001.5'], reason: CLAMP },
  {
    case: 'a reason without a code',
    browsers: CHROMIUM,
    notes: [
      'undefined and a reason',
      'readyState',
      'undefined and an empty reason',
      'undefined and a reason that is too long',
    ],
    reason: REASON,
  },
];
