// A page that is rendered for every request: a server component, with a component of the client in it.

import { connection } from 'next/server';

import Greeted from './greeted/greeted.jsx';
import { greet } from './greet-on-server.js';

export default async function Page({ searchParams }) {
  await connection();
  const { server } = await searchParams;
  return (
    <>
      <p id="server">{await greet(server)}</p>
      <Greeted server={server} />
    </>
  );
}
