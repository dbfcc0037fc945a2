// Replaces the platform's classes for a library that instantiates one of each on import: here they are created on first
// use. They have the members that the library calls.

export class TextEncoder {
  #made;

  encodeInto(text, bytes) {
    this.#made ??= new globalThis.TextEncoder();
    return this.#made.encodeInto(text, bytes);
  }
}

export class TextDecoder {
  #made;

  decode(bytes) {
    this.#made ??= new globalThis.TextDecoder();
    return this.#made.decode(bytes);
  }
}
