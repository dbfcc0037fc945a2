// Lets a driver run code in the page's realm: Firefox's driver runs its code in a separate one.

// Nothing is imported before it is needed: tests watch what the page loads.
globalThis.callExported = async (module, name, ...given) => (await import(module))[name](...given);

globalThis.runCase = (name, server) => globalThis.callExported('./run.js', 'run', name, server);
