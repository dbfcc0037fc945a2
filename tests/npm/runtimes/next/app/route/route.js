// A route handler.

import { greet } from '../greet-on-server.js';

export async function GET(request) {
  const { searchParams } = new URL(request.url);
  return new Response(await greet(searchParams.get('server')));
}
