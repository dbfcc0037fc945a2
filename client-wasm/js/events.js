// Events, and handlers as HTML has them.

import { isFunction, isObject } from './convert.js';

/** The classes without which nothing here can be made, as far as the platform lacks them. */
const missing = ['Event', 'EventTarget'].filter((name) => !isFunction(globalThis[name]));

/** Stands in for them, so that the package can be imported everywhere. */
class Missing {
  constructor() {
    throw new TypeError(`ReconnectingWebSocket: there was no ${missing.join(' and no ')} when steady-socket was imported; define what is missing before that`);
  }
}

/** What a socket extends. */
export const Target = missing.length === 0 ? globalThis.EventTarget : Missing;

const PlatformEvent = globalThis.Event ?? Missing;

/** For runtimes without one (Node before 23). */
const OwnCloseEvent = class CloseEvent extends PlatformEvent {
  constructor(type, { code = 0, reason = '', wasClean = false, ...init } = {}) {
    super(type, init);
    withFields(this, { code, reason, wasClean });
  }
};

const CloseEvent = globalThis.CloseEvent ?? OwnCloseEvent;

const NO_PORTS = Object.freeze([]);

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

/** Has the attributes and methods of a class enumerable, as those of an interface of the platform are. */
export function makeEnumerable(prototype) {
  for (const name of Object.getOwnPropertyNames(prototype)) {
    if (name !== 'constructor') Object.defineProperty(prototype, name, { enumerable: true });
  }
}

/** Calls a handler of `target` with a {@link ReceivedEvent} that is not dispatched. */
export let handle;

/**
 * A `message` event that tells what the event of another socket does, or an object like one. It is a plain event
 * with the attributes of a `MessageEvent`: to make one of those from its dictionary takes Chromium three to five
 * times as long (1.1 to 1.8 µs against 0.4 µs), which was most of what a message cost.
 */
class ReceivedEvent extends PlatformEvent {
  #source;
  /** That whose handler was called, without being dispatched. */
  #target = null;
  #isHandled = false;

  constructor(source) {
    super('message');
    this.#source = source;
  }

  get data() { return this.#source.data ?? null; }

  /** Where the other event has none, the socket's. */
  get origin() { return this.#source.origin ?? (this.target?.url ? new URL(this.target.url).origin : ''); }

  get lastEventId() { return this.#source.lastEventId ?? ''; }

  get source() { return null; }

  get ports() { return NO_PORTS; }

  /** A program may dispatch it once more. */
  get target() { return super.target ?? this.#target; }

  get srcElement() { return this.target; }

  get currentTarget() { return this.#isHandled ? this.#target : super.currentTarget; }

  get eventPhase() { return this.#isHandled ? Event.AT_TARGET : super.eventPhase; }

  composedPath() { return this.#isHandled ? [this.#target] : super.composedPath(); }

  // A socket is part of no tree: other listeners of its own are called all the same.
  stopPropagation() { if (!this.#isHandled) super.stopPropagation(); }

  get cancelBubble() { return super.cancelBubble; }

  set cancelBubble(value) { if (value) this.stopPropagation(); }

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
    // Copied by `new event.constructor(event.type, event)`, as programs do, it becomes one of the platform.
    const { MessageEvent = this } = globalThis;
    Object.defineProperty(this.prototype, 'constructor', { value: MessageEvent, enumerable: false });
    if (MessageEvent !== this) Object.setPrototypeOf(this.prototype, MessageEvent.prototype);
    // What else a platform gives its own, and would refuse to tell of this one.
    for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(MessageEvent.prototype))) {
      if (get && !Object.hasOwn(this.prototype, name)) {
        Object.defineProperty(this.prototype, name, { get: () => null, configurable: true, enumerable: true });
      }
    }
  }
}

/**
 * A fresh event for a message.
 *
 * @param source - the event of another socket, or an object with the same fields
 */
export function messageEvent(source) {
  return new ReceivedEvent(source);
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
 * @param changed - called with the object, the type and the new handler, `null` if none is called; says whether it is
 *   to be called as one of the listeners
 */
export function defineHandlers(prototype, types, check, changed = () => true) {
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
        const isListener = changed(this, type, isFunction(value) ? value : null);
        if (!isObject(value)) {
          handlers.delete(this);
          if (present) Reflect.apply(EventTarget.prototype.removeEventListener, this, [type, present.listener]);
        } else if (present) {
          present.value = value;
        } else {
          const handler = { value, listener: (event) => call(handler.value, event) };
          handlers.set(this, handler);
          // Without calling what a subclass may have put in the place of `addEventListener`.
          if (isListener) Reflect.apply(EventTarget.prototype.addEventListener, this, [type, handler.listener]);
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
