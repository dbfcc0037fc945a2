// Runs the group named in the page's query, and leaves the observations as JSON in the body: some browser drivers are
// better at reading a page than at calling it.

const query = new URLSearchParams(location.search);
const servers = Object.fromEntries(['ws', 'http', 'raw', 'silent'].map((name) => [name, query.get(name)]));
let outcome;
try {
  // Imported here, so that a failing import of the package is reported.
  const { runGroup } = await import('./run.js');
  outcome = { results: await runGroup(query.get('group'), servers) };
} catch (error) {
  outcome = { failure: String(error?.stack ?? error) };
}
document.body.textContent = JSON.stringify(outcome);
document.body.dataset.done = '';
