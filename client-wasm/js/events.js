// Events, and event handler attributes as HTML defines them.

import { isFunction, isObject } from './check.js';

/** The classes that sockets require and the platform lacks. */
const missing = ['Event', 'EventTarget'].filter((name) => !isFunction(globalThis[name]));

/** Replaces a missing class, so that the package can be imported everywhere. */
class Missing {
  constructor() {
    throw new TypeError(
      `ReconnectingWebSocket: there was no ${missing.join(' and no ')} when steady-socket was imported; define it before`,
    );
  }
}

/** The parent class of sockets. */
export const Target = missing.length === 0 ? globalThis.EventTarget : Missing;

const PlatformEvent = globalThis.Event ?? Missing;

/** For runtimes without `CloseEvent` (Node before 23). */
const OwnCloseEvent = class CloseEvent extends PlatformEvent {
  constructor(type, { code = 0, reason = '', wasClean = false, ...init } = {}) {
    super(type, init);
    withFields(this, { code, reason, wasClean });
  }
};

const CloseEvent = globalThis.CloseEvent ?? OwnCloseEvent;

const NO_PORTS = Object.freeze([]);

/** Adds read-only fields to an event. */
function withFields(event, fields) {
  for (const [name, value] of Object.entries(fields)) {
    Object.defineProperty(event, name, { value, enumerable: true });
  }
  return event;
}

/** Creates an event of a type with its own fields. */
export function plainEvent(type, fields = {}) {
  return withFields(new Event(type), fields);
}

export function closeEvent({ code, reason, wasClean }, fields) {
  return withFields(new CloseEvent('close', { code, reason, wasClean }), fields);
}

/** Makes the attributes and methods of a class enumerable, as on a platform interface. */
export function makeEnumerable(prototype) {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name !== 'constructor') Object.defineProperty(prototype, name, { enumerable: true });
  }
}

/** Calls a handler of `target` with a {@link ReceivedEvent} that is not dispatched. */
export let handle;

/**
 * A `message` event with the values of another socket's event, or of a similar object. It is a plain event with the
 * attributes of a `MessageEvent`: constructing a real one from its dictionary takes Chromium three to five times as
 * long (1.1 to 1.8 µs against 0.4 µs), which was most of the cost of a message.
 */
class ReceivedEvent extends PlatformEvent {
  #source;
  /** The target whose handler was called without a dispatch. */
  #target = null;
  #isHandled = false;

  constructor(source) {
    super('message');
    this.#source = source;
  }

  get data() {
    return this.#source.data ?? null;
  }

  /** The socket's origin, if the other event has none. */
  get origin() {
    return this.#source.origin ?? (this.target?.url ? new URL(this.target.url).origin : '');
  }

  get lastEventId() {
    return this.#source.lastEventId ?? '';
  }

  get source() {
    return null;
  }

  get ports() {
    return NO_PORTS;
  }

  /** A program may dispatch the event again. */
  get target() {
    return super.target ?? this.#target;
  }

  get srcElement() {
    return this.target;
  }

  get currentTarget() {
    return this.#isHandled ? this.#target : super.currentTarget;
  }

  get eventPhase() {
    return this.#isHandled ? Event.AT_TARGET : super.eventPhase;
  }

  composedPath() {
    return this.#isHandled ? [this.#target] : super.composedPath();
  }

  // A socket is not part of a tree: its other listeners are called all the same.
  stopPropagation() {
    if (!this.#isHandled) super.stopPropagation();
  }

  get cancelBubble() {
    return super.cancelBubble;
  }

  set cancelBubble(value) {
    if (value) this.stopPropagation();
  }

  static {
    handle = (event, target, handler) => {
      event.#target = target;
      event.#isHandled = true;
      try {
        Reflect.apply(handler, target, [event]);
      } catch (error) {
        report(error);
      }
      event.#isHandled = false;
    };
    makeEnumerable(this.prototype);
    // Programs copy events by `new event.constructor(event.type, event)`: the copy becomes a platform event.
    const { MessageEvent = this } = globalThis;
    Object.defineProperty(this.prototype, 'constructor', { value: MessageEvent, enumerable: false });
    if (MessageEvent !== this) Object.setPrototypeOf(this.prototype, MessageEvent.prototype);
    // The platform's other getters would throw on this event.
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(MessageEvent.prototype))) {
      if (get && !Object.hasOwn(this.prototype, name)) {
        Object.defineProperty(this.prototype, name, { get: () => null, configurable: true, enumerable: true });
      }
    }
  }
}

/**
 * Creates an event for a message.
 *
 * @param source - the event of another socket, or an object with the same fields
 */
export function messageEvent(source) {
  return new ReceivedEvent(source);
}

/** Dispatches an event without calling a subclass's `dispatchEvent`. */
export function dispatch(target, event) {
  Reflect.apply(EventTarget.prototype.dispatchEvent, target, [event]);
}

/** Reports an exception that no caller can catch. */
export function report(error) {
  if (isFunction(globalThis.reportError)) globalThis.reportError(error);
  else
    setTimeout(() => {
      throw error;
    });
}

/**
 * Adds an event handler attribute `on…` to `prototype` for each type. A handler keeps the place among the listeners
 * that it got when the attribute last changed from null.
 *
 * @param check - called with the receiver on every read and write; throws if the receiver is invalid
 * @param changed - called with the object, the type and the new handler, or `null` if nothing is to be called; returns
 *   whether to call the handler as a listener
 */
export function defineHandlers(prototype, types, check, changed = () => true) {
  for (const type of types) {
    const name = `on${type}`;
    /** By object: `{ value, listener }`. */
    const handlers = new WeakMap();
    // In a literal, so that the accessors are named like the platform's.
    const { get, set } = Object.getOwnPropertyDescriptor(
      {
        get [name]() {
          check(this);
          return handlers.get(this)?.value ?? null;
        },
        set [name](value) {
          check(this);
          const present = handlers.get(this);
          const isListener = changed(this, type, isFunction(value) ? value : null);
          if (!isObject(value)) {
            handlers.delete(this);
            if (present) Reflect.apply(EventTarget.prototype.removeEventListener, this, [type, present.listener]);
          } else if (present) {
            present.value = value;
          } else {
            const handler = { value, listener: (event) => call(handler.value, event) };
            handlers.set(this, handler);
            // Without calling a subclass's `addEventListener`.
            if (isListener) Reflect.apply(EventTarget.prototype.addEventListener, this, [type, handler.listener]);
          }
        },
      },
      name,
    );
    Object.defineProperty(prototype, name, { get, set, configurable: true, enumerable: true });
  }
}

/**
 * Calls a handler as HTML specifies: an object that is not callable does nothing; returning `false` cancels the event.
 */
function call(handler, event) {
  if (isFunction(handler) && Reflect.apply(handler, event.currentTarget, [event]) === false) event.preventDefault();
}
