// The server of what goes one way. It prints its port.
//
//     /?way=in&count=N    every message comes back N times
//     /?way=out&count=N   nothing comes back but every Nth message
//
// The hello server answers every message by one, so that a rate of its own would be that of both ways.

import { WebSocketServer } from 'ws';

import { answersOf } from './answers.mjs';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket, { url }) => {
  const answers = answersOf(Object.fromEntries(new URL(url, 'ws://localhost').searchParams));
  socket.on('message', (data, binary) => {
    for (let left = answers(); left > 0; left -= 1) socket.send(data, { binary });
  });
});
