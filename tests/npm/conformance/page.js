// Runs the group that the page's query asks for, and leaves what was seen as JSON in the body: some drivers of
// browsers read a page better than they call it.

const query = new URLSearchParams(location.search);
const servers = Object.fromEntries(['ws', 'http', 'raw', 'silent'].map((name) => [name, query.get(name)]));
let outcome;
try {
  // Imported here, so that a package that cannot be is told.
  const { runGroup } = await import('./run.js');
  outcome = { results: await runGroup(query.get('group'), servers) };
} catch (error) {
  outcome = { failure: String(error?.stack ?? error) };
}
document.body.textContent = JSON.stringify(outcome);
document.body.dataset.done = '';
