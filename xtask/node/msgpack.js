// The parts of the MessagePack library that the npm package uses.

export { Decoder, Encoder } from '@msgpack/msgpack';
