// A page's events: the network, visibility, freezing and the back/forward cache.

import { dispose } from '../typed/symbols.js';
import { Undo, replace, replaceByGetter } from './replace.js';

export class FakePage {
  #undo = new Undo();
  #isOnline = true;
  #isVisible = true;

  constructor() {
    // Node has no window or document to listen to, and no navigator before version 21.
    if (typeof globalThis.addEventListener !== 'function') {
      const target = new EventTarget();
      for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
        this.#undo.add(replace(globalThis, name, target[name].bind(target)));
      }
    }
    if (!globalThis.document) this.#undo.add(replace(globalThis, 'document', new EventTarget()));
    if (!globalThis.navigator) this.#undo.add(replace(globalThis, 'navigator', {}));
    const { document, navigator } = globalThis;
    this.#undo.add(replaceByGetter(navigator, 'onLine', () => this.#isOnline));
    this.#undo.add(replaceByGetter(document, 'visibilityState', () => (this.#isVisible ? 'visible' : 'hidden')));
    this.#undo.add(replaceByGetter(document, 'hidden', () => !this.#isVisible));
  }

  offline() {
    this.#isOnline = false;
    globalThis.dispatchEvent(new Event('offline'));
  }

  online() {
    this.#isOnline = true;
    globalThis.dispatchEvent(new Event('online'));
  }

  hide() {
    this.#setVisible(false);
  }

  show() {
    this.#setVisible(true);
  }

  freeze() {
    globalThis.document.dispatchEvent(new Event('freeze'));
  }

  resume() {
    globalThis.document.dispatchEvent(new Event('resume'));
  }

  leave() {
    globalThis.dispatchEvent(transition('pagehide'));
  }

  comeBack() {
    globalThis.dispatchEvent(transition('pageshow'));
  }

  restore() {
    this.#undo.run();
  }

  [dispose]() {
    this.restore();
  }

  #setVisible(isVisible) {
    this.#isVisible = isVisible;
    globalThis.document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
  }
}

/** Into the back/forward cache, or out of it. */
function transition(type) {
  const event = new Event(type);
  Object.defineProperty(event, 'persisted', { value: true, enumerable: true });
  return event;
}
