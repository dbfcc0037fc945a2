// Replaces properties of global objects for the duration of a test.

/** All current replacements; among those of one property, each covers the earlier ones. */
const layers = [];

/** @returns a function that restores the earlier property, or removes it if there was none; callable in any order */
export function replace(object, name, value) {
  return define(object, name, { value, writable: true, enumerable: isEnumerable(object, name), configurable: true });
}

/** The same with a getter. */
export function replaceByGetter(object, name, get) {
  return define(object, name, { get, enumerable: isEnumerable(object, name), configurable: true });
}

function define(object, name, property) {
  const layer = { object, name, before: Object.getOwnPropertyDescriptor(object, name) };
  layers.push(layer);
  Object.defineProperty(object, name, property);
  return () => {
    const index = layers.indexOf(layer);
    if (index === -1) return;
    layers.splice(index, 1);
    const over = layers.slice(index).find((other) => other.object === object && other.name === name);
    if (over) over.before = layer.before;
    else if (layer.before) Object.defineProperty(object, name, layer.before);
    else delete object[name];
  };
}

function isEnumerable(object, name) {
  return Object.getOwnPropertyDescriptor(object, name)?.enumerable ?? false;
}

/** Calls functions in reverse order, once. */
export class Undo {
  #steps = [];

  add(step) {
    this.#steps.push(step);
  }

  run() {
    for (const step of this.#steps.splice(0).reverse()) step();
  }
}
