// What the server of a measurement answers.

/**
 * A one-way case begins with `pool` messages that are echoed. Then, for `in`, every message is answered by `count` of
 * them; for `out`, `count` of them arrive, and the last is answered. They repeat in a cycle, and every batch starts
 * with the first.
 *
 * @param query - `way`, `count` and `pool`; without a way, every message is echoed
 * @param isSame - whether two messages are the same
 * @returns a function to call with each message of a connection, which returns those to send; it throws if a message is
 *   missing, changed or out of order
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
    if (!isSame(message, known[came % size]))
      throw new Error(`message ${came} of a batch is missing, changed or out of order`);
    came = (came + 1) % batch;
    return came === 0 ? [message] : [];
  };
}
