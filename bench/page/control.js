// The hello server's control.

/** Drops the connection that was opened with this id in its address. */
export async function cut(control, id, { name }) {
  const answer = await fetch(`${control}/control/cut?id=${id}`, { method: 'POST' });
  const { connections } = await answer.json();
  if (connections !== 1) throw new Error(`${connections} connections of ${name} were cut, not 1`);
}
