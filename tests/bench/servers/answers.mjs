// What the server of a measurement answers.

/**
 * What goes one way begins with `pool` messages that are echoed. Then, for `in`, every message is answered by `count` of them;
 * for `out`, `count` of them come, and the last is answered. They come round again in their order, and from the first in every
 * batch.
 *
 * @param query - `way`, `count` and `pool`; without a way, every message is echoed
 * @param isSame - whether two messages are the same
 * @returns a function to be called with each message of a connection, which gives those to send; it throws where one
 *   is missing, changed or out of order
 */
export function answersOf({ way, count, pool }, isSame) {
  if (way === undefined) return (message) => [message];
  const [batch, size] = [Number(count), Number(pool)];
  const known = [];
  let came = 0;
  return (message) => {
    if (known.length < size) {
      known.push(message);
      return [message];
    }
    if (way === 'in') return Array.from({ length: batch }, (_, index) => known[index % size]);
    if (!isSame(message, known[came % size])) throw new Error(`message ${came} of a batch is missing, changed or out of order`);
    came = (came + 1) % batch;
    return came === 0 ? [message] : [];
  };
}
