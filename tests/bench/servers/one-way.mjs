// The server of what goes one way, as `answers.mjs` has it from the query of the address. It prints its port.
//
// The hello server answers every message by one, so that a rate of its own would be that of both ways.

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
