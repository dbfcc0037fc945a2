// websocket-ts, which has an interface of its own.

import { ArrayQueue, ConstantBackoff, WebsocketBuilder, WebsocketEvent } from 'websocket-ts';

import { counter, sender, valueOfData } from './receiver.js';

export const websocketTs = {
  name: 'websocket-ts',
  package: 'websocket-ts',
  takes: () => true,
  async open({ url, task, messages, onMessage }) {
    const { take, received } = counter(valueOfData(task), onMessage);
    const socket = new WebsocketBuilder(url)
      .withBackoff(new ConstantBackoff(1_000))
      .withBuffer(new ArrayQueue())
      .onMessage((_, event) => take(event.data))
      .build();
    socket.binaryType = 'arraybuffer';
    await new Promise((resolve) => { socket.addEventListener(WebsocketEvent.open, resolve); });
    return { received, send: sender(socket, task, messages), close: () => socket.close() };
  },
};
