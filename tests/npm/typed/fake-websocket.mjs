// A `WebSocket` for tests that control what arrives, when, and how much the browser has buffered.

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
