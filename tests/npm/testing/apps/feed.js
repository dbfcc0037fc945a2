// A typical application: it shows the state of the connection, subscribes again on every new one, detects a dead one by
// a heartbeat, and gives up when the server says that the session is over.

import { ReconnectingWebSocket } from 'steady-socket';

export const SESSION_OVER = 4003;

/**
 * @param url - of the feed
 * @param topics - what to subscribe to
 * @param show - called with the line for the user
 * @returns `stop`
 */
export function startFeed(url, topics, show) {
  let countdown;
  const socket = new ReconnectingWebSocket(url, [], {
    heartbeatInterval: 20_000,
    heartbeatGrace: 5_000,
    heartbeatMessage: '{"type":"ping"}',
    isHeartbeat: (data) => data === '{"type":"pong"}',
    shouldReconnect: ({ code }) => (code === SESSION_OVER ? false : undefined),
  });
  socket.addEventListener('open', () => {
    show('online');
    for (const topic of topics) socket.send(JSON.stringify({ type: 'subscribe', topic }));
  });
  socket.addEventListener('message', ({ data }) => show(`news: ${JSON.parse(data).text}`));
  socket.addEventListener('statechange', ({ state, delay }) => {
    clearInterval(countdown);
    if (state === 'connecting') show('connecting');
    if (state !== 'waiting') return;
    let seconds = Math.ceil(delay / 1000);
    show(`reconnecting in ${seconds} s`);
    countdown = setInterval(() => {
      seconds -= 1;
      if (seconds > 0) show(`reconnecting in ${seconds} s`);
    }, 1000);
  });
  socket.addEventListener('close', ({ code, willReconnect }) => {
    if (!willReconnect) show(code === SESSION_OVER ? 'signed out' : 'stopped');
  });
  return { stop: () => socket.close(1000, 'bye') };
}
