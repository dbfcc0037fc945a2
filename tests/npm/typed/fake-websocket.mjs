// A `WebSocket` for tests that control what arrives, when, and how much the browser has buffered.
//
// The testing kit cannot stand in for it. Its sockets behave as a browser's do: what happens to them comes in a task of its
// own, and `bufferedAmount` follows from what was sent. Here a call fires its event before it returns, so that a test of the
// order of events adds no turn of the event loop, and the test sets `bufferedAmount`. The kit installs itself globally, and
// the copies of the package in `reports.test.mjs` each need a class of their own.

/** A class that adds each of its instances to `made`. It opens when `open()` is called. */
export function fakeWebSocket() {
  return class FakeWebSocket {
    static made = [];

    binaryType = 'blob';
    bufferedAmount = 0;
    extensions = '';
    protocol = '';
    readyState = 0;
    onopen = null;
    onmessage = null;
    onerror = null;
    onclose = null;
    /** The messages sent. */
    sent = [];

    constructor(url, protocols) {
      this.url = url;
      this.protocols = protocols;
      FakeWebSocket.made.push(this);
    }

    static get last() {
      return FakeWebSocket.made.at(-1);
    }

    open() {
      this.readyState = 1;
      this.onopen?.(new Event('open'));
    }

    /** A message arrives. */
    deliver(data) {
      this.onmessage?.(new MessageEvent('message', { data }));
    }

    send(data) {
      this.sent.push(data);
    }

    close(code = 1000, reason = '') {
      if (this.readyState >= 2) return;
      this.readyState = 2;
      setImmediate(() => this.end(code, reason, true));
    }

    end(code, reason = '', wasClean = true) {
      this.readyState = 3;
      this.onclose?.(Object.assign(new Event('close'), { code, reason, wasClean }));
    }
  };
}
