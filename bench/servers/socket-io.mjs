// A socket.io server that does what the hello server does. It prints its port.

import { Server } from 'socket.io';
import { createServer } from 'node:http';

import { answersOf } from './answers.mjs';

const http = createServer();
const server = new Server(http, { transports: ['websocket'], cors: { origin: '*' } });
server.on('connection', (socket) => {
  const answers = answersOf(socket.handshake.query, (one, other) =>
    typeof one === 'string' ? one === other : one.equals(other),
  );
  socket.on('message', (message) => {
    for (const answer of answers(message)) socket.emit('message', answer);
  });
  socket.on('greet', (name) => socket.emit('message', `Hello ${name}!`));
  // Like the hello server's control: without a close handshake.
  socket.on('cut', () => socket.conn.transport.socket._socket.destroy());
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
