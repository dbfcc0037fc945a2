// Where a ReconnectingWebSocket with the options of settings.js shows something else than the browser's own
// `WebSocket`, and why that is so. A note that is listed and does not differ makes the tests fail, as one that
// differs and is not listed does.

const CHROMIUM = ['Chromium'];
const FIREFOX = ['Firefox'];
const BOTH = [...CHROMIUM, ...FIREFOX];

const SCRIPT = 'An event that a script dispatches has its listeners called one after the other by that script, and microtasks run when the script ends; nothing in the platform lets a script do it otherwise.';
const CLAMP = 'The standard rounds a code to the nearest integer, halves to the even one. Chromium cuts the fraction off; Firefox and this class do as the standard says.';
const REASON = 'By the standard a reason without a code is sent with 1000. Chromium throws instead; Firefox and this class do as the standard says.';

export const exceptions = [
  {
    case: 'the class is called WebSocket',
    browsers: BOTH,
    notes: ['name', 'tag', 'as a string'],
    reason: 'It is another class, and its name says so.',
  },
  {
    case: 'an object of the class is an instance of WebSocket',
    browsers: BOTH,
    notes: ['instance'],
    reason: 'It extends EventTarget as WebSocket does, since a WebSocket cannot be made without connecting once and for all. In TypeScript it can be assigned to one.',
  },
  {
    case: 'relative URLs are relative to the page',
    browsers: FIREFOX,
    notes: ['""'],
    reason: 'An empty URL is that of the page, by the standard and in Chromium. Firefox refuses it.',
  },
  {
    case: 'sub-protocols: what is offered to the server',
    browsers: BOTH,
    notes: ['null'],
    reason: 'For null a WebSocket offers a sub-protocol called null. Here it is none, for it may stand before the options.',
  },
  {
    case: 'an address that the policy of the page forbids',
    browsers: CHROMIUM,
    notes: ['events'],
    reason: 'Chromium tells of it by error alone, although the standard wants close, too. This class has both, a second later.',
  },
  {
    case: 'an address that the policy of the page forbids',
    browsers: FIREFOX,
    notes: ['events'],
    reason: 'Firefox throws an exception of its own out of the constructor. This class has a failed attempt, as the standard has it: error, then close.',
  },
  { case: 'microtasks run between the events', browsers: BOTH, notes: ['order'], reason: SCRIPT },
  { case: 'microtasks run between error and close', browsers: BOTH, notes: ['order'], reason: SCRIPT },
  {
    case: 'events that a browser dispatches are trusted',
    browsers: BOTH,
    notes: ['open', 'message', 'error', 'close'],
    reason: 'Only what the browser itself dispatches is trusted.',
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
    notes: ['undefined and a reason', 'readyState', 'undefined and an empty reason', 'undefined and a reason that is too long'],
    reason: REASON,
  },
];
