// Disposes of sockets, for browser.test.mjs. Separate from in-page.js, as the package looks up the symbols on import.

/** @param lacking - whether to remove the symbols from the platform */
export async function dispose({ ws }, lacking) {
  const symbols = ['dispose', 'asyncDispose'];
  if (lacking) {
    const { Symbol: Given } = globalThis;
    globalThis.Symbol = new Proxy(() => {}, {
      get: (_, name) => (symbols.includes(name) ? undefined : Given[name]),
      apply: (_, _self, given) => Given(...given),
    });
  }
  const [disposeOf, asyncDispose] = symbols.map((name) => Symbol[name] ?? Symbol.for(`Symbol.${name}`));
  const { TypedSocket } = await import('/pkg/index.js');
  const one = new TypedSocket(`${ws}/echo`);
  one[disposeOf]();
  const other = new TypedSocket(`${ws}/echo`);
  await other.opened();
  const messages = other.messages();
  await messages[asyncDispose]();
  await other[asyncDispose]();
  return {
    states: [one.readyState >= 2, other.readyState],
    isBuiltIn: disposeOf === Symbol.dispose,
    over: (await messages.next()).done,
  };
}
