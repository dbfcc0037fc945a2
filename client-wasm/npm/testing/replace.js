// Puts something in the place of what a global object has, for the time of a test.

/** @returns a function that puts back what was there, or takes it away where nothing was */
export function replace(object, name, value) {
  return define(object, name, { value, writable: true, enumerable: isEnumerable(object, name), configurable: true });
}

/** The same with a property that is asked every time. */
export function replaceByGetter(object, name, get) {
  return define(object, name, { get, enumerable: isEnumerable(object, name), configurable: true });
}

function define(object, name, property) {
  const before = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, property);
  return () => {
    if (before) Object.defineProperty(object, name, before);
    else delete object[name];
  };
}

function isEnumerable(object, name) {
  return Object.getOwnPropertyDescriptor(object, name)?.enumerable ?? false;
}

/** Calls functions in the opposite order, once. */
export class Undo {
  #steps = [];

  add(step) { this.#steps.push(step); }

  run() {
    for (const step of this.#steps.splice(0).reverse()) step();
  }
}
