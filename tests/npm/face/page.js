// Lets a driver run code in the realm of the page: what a driver of Firefox brings itself runs in one beside it.

// Nothing is imported before it is wanted: tests watch what the page loads.
globalThis.callExported = async (module, name, ...given) => (await import(module))[name](...given);

globalThis.runCase = (name, server) => globalThis.callExported('./run.js', 'run', name, server);
