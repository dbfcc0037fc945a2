'use client';

// A component of the client, which Next renders on the server, too.

import { useEffect, useState } from 'react';
import { ReconnectingWebSocket } from 'steady-socket';

export default function Greeted({ server }) {
  const [greeting, setGreeting] = useState('');
  useEffect(() => {
    const gone = new AbortController();
    const { signal } = gone;
    const socket = new ReconnectingWebSocket(server, [], { signal });
    socket.addEventListener('message', ({ data }) => setGreeting(data), { signal });
    socket.addEventListener('close', ({ explanation }) => setGreeting(explanation), { signal });
    socket.send('Bob');
    return () => gone.abort();
  }, [server]);
  return <p id="client">{greeting}</p>;
}
