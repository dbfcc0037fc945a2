// The messages sent, whatever their form.

import { decode } from '@msgpack/msgpack';

import { bytesValue, shapeValues, textValue } from './digest.js';

/** What a message adds to the digest; a promise for a Blob. A view is read at once, since its memory may change. */
export function decodedValue({ kind, shape }, data) {
  if (data instanceof Blob) return data.arrayBuffer().then((buffer) => decodedValue({ kind, shape }, buffer));
  switch (kind) {
    case 'text':
      return textValue(data);
    case 'json':
      return shapeValues[shape](JSON.parse(data));
    case 'binary':
      return bytesValue(bytesOf(data));
    default:
      return shapeValues[shape](decode(bytesOf(data)));
  }
}

function bytesOf(data) {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
