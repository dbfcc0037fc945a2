// Addresses that no connection can be made to.

/** The events of a socket that cannot connect, or what its constructor throws. */
async function failing(t, url, last = 'close') {
  let socket;
  try {
    socket = t.make(url);
  } catch (error) {
    return [`the constructor throws ${error.name}`];
  }
  const log = t.log(socket);
  await t.next(socket, last);
  await t.settle();
  return log;
}

export const reaching = {
  title: 'Addresses out of reach',
  /** What the page's content security policy allows it to connect to. */
  connect: 'http://127.0.0.1:* ws://127.0.0.1:*',
  cases: {
    async 'a port where nobody listens'(t) {
      t.note('events', await failing(t, 'ws://127.0.0.1:9/'));
    },

    async 'a port that browsers block'(t) {
      t.note('events', await failing(t, 'ws://127.0.0.1:1/'));
    },

    async 'an address that the policy of the page forbids'(t) {
      t.note('events', await failing(t, 'ws://forbidden.test/', 'error'));
    },
  },
};
