// What the npm package uses of the MessagePack library.

export { Decoder, Encoder } from '@msgpack/msgpack';
