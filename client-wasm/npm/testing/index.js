// A test kit: a server and sockets that do what the test says, time and randomness under the test's control, and a
// page's events. It works with every entry of the package, and with programs that use `WebSocket` itself.

export { FakeServer } from './server.js';
export { SessionServer } from './session.js';
export { FakePage } from './page.js';
export { fakeTime } from './time.js';
export { setChance } from './chance.js';
