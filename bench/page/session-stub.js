// A stub that speaks the protocol of sessions, as far as a measurement needs it: every session is fresh, and each message
// travels alone. It counts the messages in what is sent, and acknowledges them.

import { Stub } from './stub.js';

const WELCOME =
  '~welcome outcome=fresh epoch=1 owner=1 received=0 handled=0 first=1 sent=0 messages=1000 bytes=1048576 message=1048576 requests=64 window=120000';

export class SessionStub extends Stub {
  send(data) {
    if (data[0] !== '~' || data[1] === '~') super.send(data);
    else if (data.startsWith('~hello ')) setTimeout(() => this.deliver(WELCOME));
    else if (!data.startsWith('~a ')) throw new Error(`the stub of sessions does not know what to do with ${data}`);
  }
}
