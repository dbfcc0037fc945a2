// Lets a driver run cases in the realm of the page: what a driver of Firefox brings itself runs in one beside it.

globalThis.runCase = async (name, server) => {
  // Not before it is wanted: other tests open this page, too, and watch what it loads.
  const { run } = await import('./run.js');
  return run(name, server);
};
