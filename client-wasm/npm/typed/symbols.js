// The symbols of explicit resource management. If the platform lacks them, compilers of `using` look for those in the
// global registry.

export const dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
export const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
