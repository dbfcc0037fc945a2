// The panel with the class that a macro generated from the endpoint: messages are objects of the Rust types.

import { printable } from './hello.js';

const [form, name, wrong, sent, received] = ['form', 'name', 'wrong', 'sent', 'received'].map((part) =>
  document.getElementById(`typed-${part}`),
);

/** The promise of the socket, created on first use; its module is larger than the page's own. */
let connection = null;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  exchange({ type: 'hello', name: name.value });
});

// An editor that knows the types would reject this; so does the Rust side.
wrong.addEventListener('click', () => exchange({ type: 'hello', nome: name.value }));

async function exchange(message) {
  show(sent, JSON.stringify(message));
  show(received, '…');
  try {
    const socket = await connected();
    socket.send(message);
  } catch (error) {
    show(received, `${error.name}: ${error.message}`, 'error');
  }
}

/** The socket; if its module failed to load, the next call tries again. */
function connected() {
  connection ??= connect().catch((error) => {
    connection = null;
    throw error;
  });
  return connection;
}

async function connect() {
  const { default: init, HelloSocket } = await import('./typed/typed_hello.js');
  await init();
  const socket = new HelloSocket();
  socket.addEventListener('message', ({ data }) => show(received, JSON.stringify(data)));
  socket.addEventListener('invalid', ({ error }) => show(received, error.message, 'error'));
  socket.addEventListener('close', ({ willReconnect, explanation }) => {
    if (willReconnect) return;
    show(received, `It is over: ${explanation}.`, 'error');
    connection = null;
  });
  return socket;
}

function show(where, text, kind = 'message') {
  where.textContent = printable(text);
  where.dataset.kind = kind;
}
