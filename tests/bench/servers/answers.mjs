// How many messages the server of a measurement answers a message by.

/**
 * @param way - `in`: by `count`; `out`: by one if it is the last of `count`, else by none; otherwise by one
 * @returns a function to be called once for each message of a connection
 */
export function answersOf({ way, count }) {
  if (way === 'in') return () => Number(count);
  if (way !== 'out') return () => 1;
  let came = 0;
  return () => {
    came += 1;
    return came % count === 0 ? 1 : 0;
  };
}
