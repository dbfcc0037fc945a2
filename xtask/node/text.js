// In the place of the platform's classes, for a library that makes one of each as it is imported: not made until they are
// used. They have what that library calls.

export class TextEncoder {
  #made;

  encodeInto(text, bytes) { return (this.#made ??= new globalThis.TextEncoder()).encodeInto(text, bytes); }
}

export class TextDecoder {
  #made;

  decode(bytes) { return (this.#made ??= new globalThis.TextDecoder()).decode(bytes); }
}
