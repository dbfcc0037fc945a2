// Uses both classes, in any environment.

import { ReconnectingWebSocket, TypedSocket } from 'steady-socket';
import { msgpack } from 'steady-socket/msgpack';

/** Two greetings. */
export async function greet(server) {
  const socket = new ReconnectingWebSocket(server);
  socket.send('Ada');
  const greeting = await new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = ({ explanation }) => reject(new Error(explanation));
  });
  socket.onclose = null;
  socket.close();

  const typed = new TypedSocket(`${server}/hello`, { protocols: 'hello.msgpack', codec: msgpack });
  typed.send({ type: 'hello', name: 'Bob' });
  for await (const { text } of typed) {
    typed.close();
    return [greeting, text];
  }
  throw new Error('the loop ended');
}
