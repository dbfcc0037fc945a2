// The entries with sessions are JavaScript modules alone, and so is what tests them.

exports.serverHalf = () => {
  throw new Error(
    'SessionServer: it needs steady-socket/testing as a JavaScript module, as does steady-socket/session itself; with jest, run it with --experimental-vm-modules',
  );
};
