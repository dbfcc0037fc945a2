// The demo page: one socket, its events, and three ways to disturb it.

import { ReconnectingWebSocket } from './pkg/index.js';
import { SUBPROTOCOL, decodeAnswer, encodeHello, nameProblem, printable } from './hello.js';

/** How many events and names stay on the page. */
const LONGEST_LOG = 200;
const LONGEST_LIST = 30;
/** The interval between refreshes of the countdown and the counters, in milliseconds. */
const REFRESH = 100;
/** How long to wait for the server's control endpoint to answer, in milliseconds. */
const CONTROL_TIMEOUT = 5000;

const page = Object.fromEntries([...document.querySelectorAll('[id]')].map((element) => [element.id, element]));

// The name by which this page asks the server to cut its own connection and nobody else's: random, and new with every
// load. `randomUUID` is missing on pages served over plain http from another machine.
const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

// With control messages, so that a missing server heartbeat reveals a dead connection.
const socket = new ReconnectingWebSocket(`/hello?id=${id}`, [`${SUBPROTOCOL}~1`, SUBPROTOCOL], {
  controlMessages: true,
});

// --- Events of the socket ---------------------------------------------------------------------------------

/** The wait that the countdown shows: its start and end, by `performance.now()`. */
let wait = null;
/** The last loss, for the sentence that explains a wait. */
let lastClose = null;

socket.addEventListener('statechange', (event) => {
  wait = null;
  if (event.state === 'waiting' && event.delay !== null) {
    const now = performance.now();
    wait = { from: now, until: now + event.delay };
  }
  showState(event);
  refresh();
});

socket.addEventListener('open', (event) => {
  log('open', event.reconnected ? 'Connected again.' : 'Connected.');
});

socket.addEventListener('message', (event) => {
  const answer = decodeAnswer(event.data);
  if (answer.kind === 'unknown') {
    log('warning', `The server sent ${answer.text}; it is not shown.`);
    return;
  }
  // The server answers in order, so this answers the oldest unanswered name.
  refresh();
  const asked = names.find((name) => name.status === 'sent');
  if (asked) setStatus(asked, answer.kind === 'greeting' ? 'greeted' : 'refused');
  if (answer.kind === 'greeting') {
    page.greeting.textContent = answer.text;
    // The animation restarts only on an element that has briefly lacked it.
    page.greeting.classList.remove('fresh');
    void page.greeting.offsetWidth;
    page.greeting.classList.add('fresh');
    log('message', answer.text);
  } else {
    showProblem(answer.text);
    log('warning', answer.text);
  }
  refresh();
});

socket.addEventListener('close', (event) => {
  lastClose = event;
  refresh();
  // Unanswered names are not sent again: the server may have received them. Here the answers say more than the event's
  // `unconfirmedMessages`, which knows nothing of greetings.
  const unanswered = names.filter(({ status }) => status === 'sent');
  for (const name of unanswered) setStatus(name, 'unconfirmed');
  showExplanation();
  const reason = event.reason ? `, “${printable(event.reason)}”` : '';
  log('close', `Closed with code ${event.code}${reason}. ${sentence(event.explanation)}`);
  if (unanswered.length > 0) log('warning', `${count(unanswered.length, 'message')} may not have reached the server.`);
  refresh();
});

socket.addEventListener('dropped', (event) => {
  for (const message of event.messages) {
    const name = names.findLast(({ wire, status }) => wire === message && !SETTLED.has(status));
    if (name) setStatus(name, 'dropped');
  }
  log('warning', `${count(event.messages.length, 'message')} dropped: ${event.reason}.`);
  refresh();
});

socket.addEventListener('error', () => log('warning', 'The connection failed.'));

// --- Actions of the user ----------------------------------------------------------------------------------

page.form.addEventListener('submit', (event) => {
  event.preventDefault();
  const name = page.name.value;
  const problem =
    nameProblem(name) ??
    (socket.state === 'closed' || socket.state === 'closing'
      ? 'The connection is closed. Press “Reconnect”, then send the name again.'
      : null);
  showProblem(problem);
  if (problem !== null) {
    page.name.focus();
    return;
  }
  const entry = { name: printable(name, 60), wire: encodeHello(name), status: 'queued', element: null };
  names.push(entry);
  try {
    socket.send(entry.wire);
  } catch (error) {
    // The queue is bounded, and reports when it is full.
    names.pop();
    showProblem(`Not sent. ${printable(error.message)}`);
    return;
  }
  page.name.value = '';
  listName(entry);
  refresh();
  if (entry.status === 'queued') log('queue', `“${entry.name}” waits in the queue.`);
});

page.name.addEventListener('input', () => showProblem(null));

page.cut.addEventListener('click', async () => {
  if (unavailable(page.cut)) return;
  log('asked', 'Asking the server to cut the connection.');
  let response;
  try {
    response = await fetch(`/control/cut?id=${id}`, {
      method: 'POST',
      signal: AbortSignal.timeout(CONTROL_TIMEOUT),
    });
  } catch {
    log('warning', 'The server could not be asked: it does not answer.');
    return;
  }
  if (response.ok) return;
  log('warning', `The server did not cut it (HTTP status ${response.status}).`);
  if (response.status === 404) {
    cutOffered = false;
    page['cut-help'].textContent =
      'This server does not offer it: start it with the demo’s control switched on. ' +
      'You can stop the server and start it again instead.';
    showButtons();
  }
});

page.reconnect.addEventListener('click', () => {
  log('asked', 'reconnect()');
  socket.reconnect();
  refresh();
});

page.close.addEventListener('click', () => {
  if (unavailable(page.close)) return;
  log('asked', 'close()');
  socket.close(1000, 'closed by the visitor');
  refresh();
});

// --- Display ----------------------------------------------------------------------------------------------

/** Names sent, oldest first: `{ name, wire, status, element }`. */
const names = [];
/** The page's word for each status of a name. */
const STATUS = {
  queued: 'queued',
  sent: 'on its way',
  greeted: 'greeted',
  refused: 'refused',
  dropped: 'dropped',
  unconfirmed: 'no answer',
};
/** The statuses that are final. */
const SETTLED = new Set(['greeted', 'refused', 'dropped']);
let cutOffered = true;

function showState({ state, delay, reason }) {
  page.badge.dataset.state = state;
  page['badge-state'].textContent = state;
  const seconds = delay === null ? '' : (delay / 1000).toFixed(1);
  page.announcement.textContent = state === 'waiting' ? `waiting, next attempt in ${seconds} seconds` : state;
  showExplanation();
  log('state', `${state}: ${printable(reason)}`);
  showButtons();
}

function showExplanation() {
  page.explanation.textContent =
    {
      connecting: 'An attempt to connect is under way; what you send waits in a queue.',
      open: 'Connected: names go straight to the server.',
      waiting: `${lostBecause()} Another attempt follows by itself; what you send waits in a queue.`,
      closing: 'Saying goodbye to the server.',
      closed: `${lostBecause()} It is over: nothing reconnects by itself. “Reconnect” starts afresh.`,
    }[socket.state] ?? '';
}

function lostBecause() {
  if (lastClose === null) return '';
  if (lastClose.cause === 'load-failed') return 'The library could not be loaded.';
  return lastClose.wasClean
    ? `The connection was closed (code ${lastClose.code}).`
    : `The connection was lost (code ${lastClose.code}).`;
}

/** A button without effect stays reachable by keyboard, and is marked as disabled. */
function showButtons() {
  setUnavailable(page.cut, !cutOffered || socket.state !== 'open');
  setUnavailable(page.close, socket.state === 'closed' || socket.state === 'closing');
}

function setUnavailable(button, is) {
  if (is) button.setAttribute('aria-disabled', 'true');
  else button.removeAttribute('aria-disabled');
}

function unavailable(button) {
  return button.getAttribute('aria-disabled') === 'true';
}

function showProblem(problem) {
  page['name-problem'].textContent = problem ?? '';
  if (problem === null) page.name.removeAttribute('aria-invalid');
  else page.name.setAttribute('aria-invalid', 'true');
}

/** Updates the countdown, the counters and the list of names. */
function refresh() {
  showCountdown();
  const snapshot = socket.snapshot();
  const counters = {
    sent: snapshot.messagesSent,
    received: snapshot.messagesReceived,
    queued: snapshot.queuedMessages,
    dropped: snapshot.droppedMessages,
    unconfirmed: snapshot.unconfirmedMessages,
    reconnects: Math.max(0, snapshot.opens - 1),
  };
  for (const [name, value] of Object.entries(counters)) setText(page[`count-${name}`], String(value));

  // The queue keeps the order, so the names waiting in it are the last unanswered ones.
  const pending = names.filter(({ status }) => status === 'queued' || status === 'sent');
  const firstQueued = pending.length - snapshot.queuedMessages;
  pending.forEach((name, index) => setStatus(name, index < firstQueued ? 'sent' : 'queued'));
}

function showCountdown() {
  page.countdown.hidden = wait === null;
  page.progress.dataset.running = String(wait !== null);
  if (wait === null) return;
  const left = Math.max(0, wait.until - performance.now());
  setText(page.countdown, `next attempt in ${(left / 1000).toFixed(1)} s`);
  const total = wait.until - wait.from;
  page['progress-bar'].style.transform = `scaleX(${total > 0 ? left / total : 0})`;
}

function listName(entry) {
  const text = element('bdi', 'who', entry.name);
  const status = element('span', 'status', STATUS[entry.status]);
  entry.element = element('li');
  entry.element.dataset.status = entry.status;
  entry.element.append(text, ' ', status);
  page.names.prepend(entry.element);
  page['names-empty'].hidden = true;
  while (names.length > LONGEST_LIST) {
    const settled = names.findIndex(({ status }) => status !== 'queued' && status !== 'sent');
    // If none is settled, all of them are waiting: the queue's own bound is the limit then.
    if (settled === -1) break;
    names.splice(settled, 1)[0].element.remove();
  }
}

function setStatus(entry, status) {
  if (entry.status === status) return;
  entry.status = status;
  if (entry.element === null) return;
  entry.element.dataset.status = status;
  entry.element.querySelector('.status').textContent = STATUS[status];
}

function log(kind, text) {
  const now = new Date();
  const time = element(
    'time',
    '',
    `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, '0')}`,
  );
  time.dateTime = now.toISOString();
  const line = element('li');
  line.dataset.kind = kind;
  line.append(time, ' ', element('span', 'kind', kind), ' ', element('span', 'what', text));
  page.log.prepend(line);
  while (page.log.childElementCount > LONGEST_LOG) page.log.lastElementChild.remove();
}

/** The library's explanations are phrases without a capital and a full stop, meant for embedding. */
function sentence(text) {
  const safe = printable(text);
  return `${safe.charAt(0).toUpperCase()}${safe.slice(1)}${/[.!?…]$/.test(safe) ? '' : '.'}`;
}

function element(tag, className = '', text = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function setText(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

showState({ state: socket.state, delay: null, reason: 'the WebAssembly module is being loaded' });
setInterval(refresh, REFRESH);
refresh();
