// websocket-ts, which has its own interface.

import { ArrayQueue, ConstantBackoff, WebsocketBuilder, WebsocketEvent } from 'websocket-ts';

import { counter, sender, valueOfData } from './receiver.js';

export const websocketTs = {
  name: 'websocket-ts',
  package: 'websocket-ts',
  reconnects: true,
  takes: () => true,
  async open({ url, task, messages, onMessage, onOpen, impatient }) {
    const { take, received } = counter(valueOfData(task), onMessage);
    const socket = new WebsocketBuilder(url)
      // It has no default wait: this is the one in its readme.
      .withBackoff(new ConstantBackoff(impatient ? 0 : 1_000))
      .withBuffer(new ArrayQueue())
      .onMessage((_, event) => take(event.data))
      .onOpen(() => onOpen?.())
      .build();
    socket.binaryType = 'arraybuffer';
    await new Promise((resolve) => {
      socket.addEventListener(WebsocketEvent.open, resolve);
    });
    return { received, send: sender(socket, task, messages), close: () => socket.close() };
  },
};
