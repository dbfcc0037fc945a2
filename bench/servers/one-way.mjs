// The server of one-way cases, which follows `answers.mjs` and the query of the address. It prints its port.
//
// The hello server answers every message with one, so a rate measured with it would be that of both directions.

import { WebSocketServer } from 'ws';

import { answersOf } from './answers.mjs';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket, { url }) => {
  const query = Object.fromEntries(new URL(url, 'ws://localhost').searchParams);
  const answers = answersOf(query, (one, other) => one.equals(other));
  socket.on('message', (data, binary) => {
    for (const answer of answers(data)) socket.send(answer, { binary });
  });
});
