// Is greeted on the server, which in Node 20 has no WebSocket of its own.

import { ReconnectingWebSocket } from 'steady-socket';
import { WebSocket } from 'ws';

export function greet(server) {
  const socket = new ReconnectingWebSocket(server, [], { WebSocket });
  socket.send('Ada');
  return new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      socket.onclose = null;
      socket.close();
      resolve(data);
    };
    socket.onclose = ({ cause, explanation }) => resolve(`${cause}: ${explanation}`);
  });
}
