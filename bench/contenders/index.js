// All contenders that run in the page.

import { dropIns } from './drop-in.js';
import { rustClients } from './rust.js';
import { sessions } from './session.js';
import { socketIo } from './socket-io.js';
import { typedSockets } from './typed-socket.js';
import { websocketTs } from './websocket-ts.js';

export const contenders = [...dropIns, websocketTs, ...typedSockets, ...sessions, ...rustClients, socketIo];
