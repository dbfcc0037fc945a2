// The symbols of explicit resource management. Where the platform has none, compilers of `using` look for those of
// the global registry.

export const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
export const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
