// A chat that marks each message: pending, handled, failed or perhaps. It survives a lost connection without losing or
// doubling anything, and says what became of everything when the server restarts without its memory.
//
//     npm install steady-socket
//     cargo run -p test-server -- --allow-origin http://127.0.0.1:8000      # in the repository
//     python3 -m http.server 8000 --bind 127.0.0.1                         # in this folder; any other server does
//
// Then open http://127.0.0.1:8000/ in two tabs, kill the server (`kill -9`), write something, and start it again.

import { NotHandledError, TypedSocket, UnknownEndError } from './node_modules/steady-socket/session/index.js';

const server = new URLSearchParams(location.search).get('server') ?? 'ws://127.0.0.1:8765';
const socket = new TypedSocket(`${server}/session/room`, { protocols: ['room.json'], session: true });

/** The messages that are shown, by their ids. */
const shown = new Map();

function show(id, text) {
  const item = document.createElement('li');
  item.textContent = text;
  document.querySelector('#messages').append(item);
  shown.set(id, item);
  return item;
}

/** Sends a message, for the first time or again: whoever has one of this id shows no second. */
async function deliver(id, text) {
  const item = shown.get(id) ?? show(id, text);
  item.dataset.mark = 'pending';
  try {
    await socket.deliver({ id, text });
    item.dataset.mark = 'handled';
  } catch (error) {
    if (error instanceof NotHandledError) item.dataset.mark = 'failed';
    else if (error instanceof UnknownEndError) item.dataset.mark = 'perhaps';
    else item.dataset.mark = `not sent: ${error.message}`;
    const again = document.createElement('button');
    again.textContent = 'Send again';
    again.addEventListener('click', () => {
      again.remove();
      deliver(id, text);
    });
    item.append(again);
  }
}

document.querySelector('#form').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = document.querySelector('#text');
  deliver(crypto.randomUUID(), field.value);
  field.value = '';
});

// The room sends every message to all, its sender included.
socket.addEventListener('message', ({ data: { id, text } }) => {
  if (!shown.has(id)) show(id, text);
});

function showStatus() {
  const { state, queuedMessages, unacknowledgedMessages, nextAttemptIn } = socket.snapshot();
  const next = nextAttemptIn === null ? '' : `, next attempt in ${Math.ceil(nextAttemptIn / 1_000)} s`;
  document.querySelector('#status').textContent = `${state}, ${queuedMessages + unacknowledgedMessages} pending${next}`;
}
for (const type of ['statechange', 'queuechange', 'pendingchange']) socket.addEventListener(type, showStatus);
setInterval(showStatus, 1_000); // the time until the next attempt goes by without an event
