// Events, and handlers as HTML has them.

import { isFunction, isObject } from './convert.js';

/** For runtimes without one (Node before 23). */
const OwnCloseEvent = class CloseEvent extends Event {
  #init;

  constructor(type, { code = 0, reason = '', wasClean = false, ...init } = {}) {
    super(type, init);
    this.#init = { code, reason, wasClean };
  }

  get code() { return this.#init.code; }

  get reason() { return this.#init.reason; }

  get wasClean() { return this.#init.wasClean; }
};

const CloseEvent = globalThis.CloseEvent ?? OwnCloseEvent;

/** An event whose own fields cannot be changed. */
function withFields(event, fields) {
  for (const [name, value] of Object.entries(fields)) {
    Object.defineProperty(event, name, { value, enumerable: true });
  }
  return event;
}

/** An event of a type that has fields of its own. */
export function plainEvent(type, fields = {}) {
  return withFields(new Event(type), fields);
}

export function closeEvent({ code, reason, wasClean }, fields) {
  return withFields(new CloseEvent('close', { code, reason, wasClean }), fields);
}

/** A fresh `message` event with what the socket's event carries; `origin` is asked where that gives none. */
export function messageEvent(event, origin) {
  return new MessageEvent('message', {
    data: event.data,
    origin: event.origin ?? origin(),
    lastEventId: event.lastEventId ?? '',
  });
}

/** Dispatches without calling what a subclass may have put in the place of `dispatchEvent`. */
export function dispatch(target, event) {
  Reflect.apply(EventTarget.prototype.dispatchEvent, target, [event]);
}

/** Reports an exception that nobody is there to catch. */
export function report(error) {
  if (isFunction(globalThis.reportError)) globalThis.reportError(error);
  else setTimeout(() => { throw error; });
}

/**
 * Gives `prototype` an event handler attribute `on…` for each type: a handler is called in the place among
 * the listeners that it got when the attribute was last set from nothing.
 *
 * @param check - called with the object of which one is read or set; throws if it is none that has them
 */
export function defineHandlers(prototype, types, check) {
  for (const type of types) {
    const name = `on${type}`;
    /** For each object: `{ value, listener }`. */
    const handlers = new WeakMap();
    // In a literal, so that the accessors have the names that those of the platform have.
    const { get, set } = Object.getOwnPropertyDescriptor({
      get [name]() {
        check(this);
        return handlers.get(this)?.value ?? null;
      },
      set [name](value) {
        check(this);
        const present = handlers.get(this);
        if (!isObject(value)) {
          handlers.delete(this);
          if (present) this.removeEventListener(type, present.listener);
        } else if (present) {
          present.value = value;
        } else {
          const handler = { value, listener: (event) => call(handler.value, event) };
          handlers.set(this, handler);
          this.addEventListener(type, handler.listener);
        }
      },
    }, name);
    Object.defineProperty(prototype, name, { get, set, configurable: true, enumerable: true });
  }
}

/** Calls a handler as HTML has it: an object that cannot be called does nothing, `false` cancels the event. */
function call(handler, event) {
  if (isFunction(handler) && Reflect.apply(handler, event.currentTarget, [event]) === false) event.preventDefault();
}
