// Two chats in one room, each at a server process of its own: `cargo xtask demo --chat`. When a process is killed, its
// client goes to the other one and misses nothing.
//
// The address names the ports of the processes, `?servers=8081,8082`, and who is here, `&chats=Ada,Bob`.

import { TypedSocket } from './pkg/session/index.js';

const SHOWN = 12;
const BURST = 1_000;

const query = new URLSearchParams(location.search);
const ports = (query.get('servers') ?? '').split(',').filter(Boolean);
const names = (query.get('chats') ?? 'Ada,Bob').split(',');
const chats = [];

/** A chat of this name, which begins at one of the processes. */
function openChat(name, first) {
  const section = document.querySelector('#chat').content.cloneNode(true).firstElementChild;
  const find = (selector) => section.querySelector(selector);
  section.id = name.toLowerCase();
  find('h2').textContent = name;
  document.querySelector('#chats').append(section);

  // Each attempt goes to the other process.
  let attempts = first;
  const port = () => ports[(attempts - 1) % ports.length];
  const url = () => {
    attempts += 1;
    return `ws://127.0.0.1:${port()}/room`;
  };
  const socket = new TypedSocket(url, { protocols: 'room.json', session: true });
  const chat = { name, section, said: 0, handled: 0, heard: [], lost: [], unknown: 0, notHandled: 0, resumed: 0 };
  // For whoever drives this page.
  section.chat = chat;

  chat.say = async (text) => {
    chat.said += 1;
    show();
    try {
      await socket.deliver({ name, text });
      chat.handled += 1;
    } catch (error) {
      if (error.name === 'UnknownEndError') chat.unknown += 1;
      else chat.notHandled += 1;
    }
    show();
  };
  chat.burst = (count) => {
    const from = chat.said + 1;
    for (let number = from; number < from + count; number += 1) chat.say(`${number}`);
  };
  chat.kill = () => fetch(`http://127.0.0.1:${port()}/kill`, { method: 'POST', mode: 'no-cors' }).catch(() => {});

  socket.addEventListener('message', ({ data }) => {
    chat.heard.push(`${data.name}: ${data.text}`);
    show();
  });
  socket.addEventListener('resumed', () => {
    chat.resumed += 1;
  });
  socket.addEventListener('sessionlost', (event) => {
    chat.lost.push(event.reason);
    show();
  });
  for (const type of ['statechange', 'queuechange']) socket.addEventListener(type, () => show());

  let isDue = false;
  function show() {
    // Once a frame, however much happens.
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      const { state } = socket.snapshot();
      const ended = chat.unknown + chat.notHandled;
      const rest = ended ? `, ${chat.unknown} unknown, ${chat.notHandled} not handled` : '';
      const counts = `${chat.said} said, ${chat.handled} handled${rest}, ${chat.heard.length} heard`;
      find('.status').textContent = `${state} at ${port()}: ${counts}`;
      const items = chat.heard.slice(-SHOWN).map((line) => {
        const item = document.createElement('li');
        item.textContent = line;
        return item;
      });
      find('.lines').start = Math.max(1, chat.heard.length - SHOWN + 1);
      find('.lines').replaceChildren(...items);
      compare();
    });
  }
  find('form').addEventListener('submit', (event) => {
    event.preventDefault();
    chat.say(event.target.elements.text.value);
    event.target.reset();
  });
  find('.burst').addEventListener('click', () => chat.burst(BURST));
  find('.kill').addEventListener('click', chat.kill);
  show();
  return chat;
}

/** Says whether the chats have heard the same so far. */
function compare() {
  const verdict = document.querySelector('#verdict');
  if (chats.length < 2) return;
  const [one, other] = chats.map(({ heard }) => heard);
  const count = Math.min(one.length, other.length);
  let differs = 0;
  while (differs < count && one[differs] === other[differs]) differs += 1;
  verdict.textContent =
    differs === count
      ? `Both have heard the same ${count} things, in the same order.`
      : `They differ from number ${differs + 1} on.`;
}

if (ports.length === 0) {
  document.querySelector('#verdict').textContent =
    'The address has to name the ports of the processes, as cargo xtask demo --chat prints it.';
} else {
  chats.push(...names.map((name, at) => openChat(name, at)));
}
