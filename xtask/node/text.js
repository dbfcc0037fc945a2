// In the place of the platform's classes, for a library that makes one of each as it is imported: not made until they are
// used. They have what that library calls.

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
