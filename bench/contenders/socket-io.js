// socket.io-client, which speaks only with its own kind of server.

import { io } from 'socket.io-client';

import { counter, sender, valueOfData } from './receiver.js';

export const socketIo = {
  name: 'socket.io-client (own server)',
  package: 'socket.io-client',
  reconnects: true,
  holds: false,
  takes: ({ direction }) => direction === 'echo' || direction === 'greet',
  async open({ task, messages, onMessage, onOpen, impatient, socketIo: url }) {
    const { take, received } = counter(valueOfData(task), onMessage);
    const options = impatient ? { reconnectionDelay: 1, reconnectionDelayMax: 1, randomizationFactor: 0 } : {};
    const socket = io(url, { transports: ['websocket'], forceNew: true, ...options });
    socket.on('message', take);
    if (onOpen) socket.on('connect', onOpen);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('connect_error', reject);
    });
    const event = task.direction === 'greet' ? 'greet' : 'message';
    const send = sender({ send: (data) => socket.emit(event, data) }, task, messages);
    return { received, send, close: () => socket.disconnect(), cut: () => socket.emit('cut') };
  },
};
