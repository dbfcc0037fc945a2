// The panel with a hundred numbered messages each way and a cut in the middle: on a plain connection, or in a session.

const COUNT = 100;
/** How many messages go at once, and the time between, in milliseconds. */
const BURST = 5;
const PAUSE = 100;
/** How long to wait for the last echo, in milliseconds. */
const PATIENCE = 8_000;

const part = (name) => document.getElementById(`hundred-${name}`);
const [form, start, cells, result] = ['form', 'start', 'cells', 'result'].map(part);

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (start.disabled) return;
  start.disabled = true;
  const inSession = new FormData(form).get('mode') === 'session';
  try {
    await send(inSession);
  } catch (error) {
    result.textContent = `That did not work. ${error.message}`;
  } finally {
    start.disabled = false;
  }
});

/** Sends the messages, has the server cut the connection in the middle, and shows what came back. */
async function send(inSession) {
  // A module of its own, loaded when it is first used.
  const { TypedSocket } = await import('./pkg/session/index.js');
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const options = { firstDelayMax: 300, maxDelay: 1_000 };
  const socket = inSession
    ? new TypedSocket(`/session/echo?id=${id}`, { ...options, protocols: ['echo.json'], session: true })
    : new TypedSocket(`/echo?id=${id}`, options);
  const shown = Array.from({ length: COUNT }, () => {
    const cell = document.createElement('li');
    cell.textContent = 'waiting';
    return cell;
  });
  cells.replaceChildren(...shown);
  const came = new Set();
  let repeated = 0;
  let replayed = 0;
  let toReplay = 0;
  const show = (number, state) => {
    shown[number].dataset.state = state;
    shown[number].textContent = state;
  };
  socket.addEventListener('resumed', (event) => {
    toReplay = event.replayed;
  });
  const all = new Promise((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      if (came.has(data)) repeated += 1;
      came.add(data);
      const isReplay = toReplay > 0;
      if (isReplay) {
        toReplay -= 1;
        replayed += 1;
      }
      show(data, isReplay ? 'replayed' : 'came back');
      if (came.size === COUNT) resolve();
    });
  });
  try {
    await socket.opened();
    for (let number = 0; number < COUNT; number += 1) {
      if (number === COUNT / 2) void cut(id);
      socket.send(number);
      show(number, 'sent');
      if (number % BURST === BURST - 1) await pause(PAUSE);
      result.textContent = `Sent ${number + 1} of ${COUNT}.`;
    }
    await Promise.race([all, pause(PATIENCE)]);
  } finally {
    socket.close();
  }
  const lost = COUNT - came.size;
  for (const number of shown.keys()) if (!came.has(number)) show(number, 'lost');
  const mode = inSession ? 'In a session' : 'On a plain connection';
  result.textContent = `${mode}: ${lost} lost, ${repeated} repeated, ${replayed} replayed by the server.`;
}

/** Asks the server to cut this panel's connection, as a broken network would. */
async function cut(id) {
  const response = await fetch(`/control/cut?id=${id}`, { method: 'POST' });
  if (!response.ok) result.textContent = 'This server does not cut connections; nothing happens in the middle.';
}

function pause(millis) {
  return new Promise((resolve) => {
    setTimeout(resolve, millis);
  });
}
