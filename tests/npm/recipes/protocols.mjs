// A server for each protocol, which sends numbers to every subscriber: the library's own server if there is one,
// otherwise as much of the protocol as its client uses.

import { GraphQLInt, GraphQLObjectType, GraphQLSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { Aedes } from 'aedes';
import { Server as RpcServer } from 'rpc-websockets';
import { createWebSocketStream } from 'ws';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync';

import { PERIOD, tick } from './server.mjs';

/** graphql-ws's own server. */
function graphql({ wss, subscriptions }) {
  const Number = { type: GraphQLInt, resolve: (value) => value };
  async function* ticks() {
    const subscription = {};
    subscriptions.add(subscription);
    try {
      for (let value = 1; ; value += 1) {
        await new Promise((resolve) => {
          setTimeout(resolve, PERIOD);
        });
        yield value;
      }
    } finally {
      subscriptions.delete(subscription);
    }
  }
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: { tick: Number } }),
    subscription: new GraphQLObjectType({ name: 'Subscription', fields: { tick: { ...Number, subscribe: ticks } } }),
  });
  const { dispose } = useServer({ schema }, wss);
  return { close: () => dispose() };
}

/** STOMP 1.2, without heartbeats. */
function stomp({ wss, subscriptions }) {
  wss.options.handleProtocols = (offered) => (offered.has('v12.stomp') ? 'v12.stomp' : false);
  wss.on('connection', (websocket) => {
    const send = (command, headers, body = '') => {
      const lines = Object.entries(headers)
        .map(([name, value]) => `${name}:${value}\n`)
        .join('');
      websocket.send(`${command}\n${lines}\n${body}\0`);
    };
    const ends = new Map();
    websocket.on('message', (data) => {
      const [head] = String(data).split('\n\n');
      const [command, ...lines] = head.split('\n');
      const headers = Object.fromEntries(lines.map((line) => line.split(/:(.*)/)));
      switch (command) {
        case 'CONNECT':
          send('CONNECTED', { version: '1.2', 'heart-beat': '0,0' });
          break;
        case 'SUBSCRIBE': {
          const { id: subscription, destination } = headers;
          ends.set(
            subscription,
            tick(subscriptions, websocket, (value) => {
              send('MESSAGE', { subscription, destination, 'message-id': value }, value);
            }),
          );
          break;
        }
        case 'UNSUBSCRIBE':
          ends.get(headers.id)();
          break;
        case 'DISCONNECT':
          send('RECEIPT', { 'receipt-id': headers.receipt });
          break;
        default:
          throw new Error(`STOMP: ${command}`);
      }
    });
  });
}

/** rpc-websockets' own server. */
function rpc({ subscriptions }) {
  const server = new RpcServer({ noServer: true });
  server.event('tick');
  let value = 0;
  const timer = setInterval(() => {
    value += 1;
    server.emit('tick', value);
    subscriptions.clear();
    for (const id of server.of('/').clients().events.tick.sockets) subscriptions.add(id);
  }, PERIOD);
  return {
    wss: server.wss,
    close() {
      clearInterval(timer);
      return server.close();
    },
  };
}

/** The equivalent of y-websocket's server: the protocol of `y-protocols`, in which everybody gets every update. */
function yjs({ wss, subscriptions }) {
  const SYNC = 0;
  const doc = new Y.Doc();
  let value = 0;
  const timer = setInterval(() => {
    value += 1;
    doc.getMap('state').set('tick', value);
  }, PERIOD);
  wss.on('connection', (websocket) => {
    const send = (write) => {
      const encoder = encoding.createEncoder();
      encoding.writeVarUint(encoder, SYNC);
      write(encoder);
      if (encoding.length(encoder) > 1 && websocket.readyState === websocket.OPEN)
        websocket.send(encoding.toUint8Array(encoder));
    };
    const forward = (update) => send((encoder) => writeUpdate(encoder, update));
    doc.on('update', forward);
    subscriptions.add(websocket);
    websocket.on('close', () => {
      doc.off('update', forward);
      subscriptions.delete(websocket);
    });
    websocket.on('message', (data) => {
      const decoder = decoding.createDecoder(new Uint8Array(data));
      if (decoding.readVarUint(decoder) === SYNC) send((encoder) => readSyncMessage(decoder, encoder, doc, websocket));
    });
    send((encoder) => writeSyncStep1(encoder, doc));
  });
  return {
    close() {
      clearInterval(timer);
      doc.destroy();
    },
  };
}

/** MQTT, using aedes. */
async function mqtt({ wss, subscriptions }) {
  const broker = await Aedes.createBroker({ heartbeatInterval: 60_000 });
  let value = 0;
  const timer = setInterval(() => {
    value += 1;
    broker.publish(
      { topic: 'ticks', payload: String(value), qos: 0, retain: false, cmd: 'publish', dup: false },
      () => {},
    );
  }, PERIOD);
  wss.options.handleProtocols = (offered) => (offered.has('mqtt') ? 'mqtt' : false);
  wss.on('connection', (websocket, request) => {
    const stream = createWebSocketStream(websocket);
    stream.on('error', () => {});
    broker.handle(stream, request);
  });
  broker.on('subscribe', (_, client) => subscriptions.add(client));
  broker.on('clientDisconnect', (client) => subscriptions.delete(client));
  broker.on('clientError', () => {});
  broker.on('connectionError', () => {});
  return {
    close() {
      clearInterval(timer);
      return new Promise((resolve) => {
        broker.close(resolve);
      });
    },
  };
}

/** Phoenix channels, version 2 of the protocol. */
function phoenix({ wss, subscriptions }) {
  wss.on('connection', (websocket) => {
    const ends = new Map();
    websocket.on('message', (data) => {
      const [join, ref, topic, event] = JSON.parse(data);
      const send = (...message) => websocket.send(JSON.stringify(message));
      const reply = () => send(join, ref, topic, 'phx_reply', { status: 'ok', response: {} });
      switch (event) {
        case 'phx_join':
          ends.set(
            topic,
            tick(subscriptions, websocket, (value) => send(null, null, topic, 'tick', { value })),
          );
          reply();
          break;
        case 'phx_leave':
          ends.get(topic)?.();
          reply();
          break;
        default:
          reply();
      }
    });
  });
}

/** As much of Ethereum's JSON-RPC as a subscription to blocks needs. */
function ethereum({ wss, subscriptions }) {
  wss.on('connection', (websocket) => {
    const ends = new Map();
    const send = (message) => websocket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
    websocket.on('message', (data) => {
      const {
        id,
        method,
        params: [first],
      } = JSON.parse(data);
      switch (method) {
        case 'eth_subscribe': {
          const subscription = `0x${ends.size + 1}`;
          send({ id, result: subscription });
          ends.set(
            subscription,
            tick(subscriptions, websocket, (value) => {
              send({
                method: 'eth_subscription',
                params: { subscription, result: { number: `0x${value.toString(16)}` } },
              });
            }),
          );
          break;
        }
        case 'eth_unsubscribe':
          ends.get(first)?.();
          send({ id, result: true });
          break;
        default:
          send({ id, error: { code: -32601, message: method } });
      }
    });
  });
}

/** JSON, in a program's own protocol. */
function json({ wss, subscriptions }) {
  wss.on('connection', (websocket) => {
    let end = () => {};
    websocket.on('message', (data) => {
      const { type } = JSON.parse(data);
      if (type === 'subscribe')
        end = tick(subscriptions, websocket, (value) => websocket.send(JSON.stringify({ type: 'tick', value })));
      else end();
    });
  });
}

/** By the name of the recipe's file, without its extension. */
export const PROTOCOLS = {
  'graphql-ws': graphql,
  stompjs: stomp,
  'rpc-websockets': rpc,
  'y-websocket': yjs,
  mqtt,
  phoenix,
  viem: ethereum,
  'rxjs-websocket': json,
  'rxjs-events': json,
};
