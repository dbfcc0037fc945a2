// Where the `WebSocket` of the test kit's fake server differs from the browser's own: where ours does, too, and for the
// same reasons, except where ours does not act like a WebSocket; and where Firefox is laxer than the standard.

import { exceptions } from './exceptions.js';

const AS_THE_BROWSER = ['the class is called WebSocket', 'sub-protocols: what is offered to the server'];

const LAX =
  'Firefox takes this, against the protocol. The fake fails the connection, as the standard says and Chromium does.';

export const fakeExceptions = [
  ...exceptions.filter((one) => !AS_THE_BROWSER.includes(one.case)),
  {
    case: 'a connection that the server closes without a code, or against the protocol',
    browsers: ['Firefox'],
    notes: ['one byte', 'a code that is reserved', 'a code that nobody may send', 'a code over 4999', 'a masked frame'],
    reason: LAX,
  },
  {
    case: 'the sub-protocol that the server selects',
    browsers: ['Firefox'],
    notes: ['none of them', 'one where none was offered'],
    reason: LAX,
  },
];
