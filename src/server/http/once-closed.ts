/** The end of an answer: it has gone out, or never will. */
import type { ServerResponse } from 'node:http';

/**
 * Calls back once. A response that stands behind another one of its connection is not told when that closes, and asks the connection
 * itself; the others have it told by Node, and need no listener on what many requests share.
 */
export function onceClosed(outgoing: ServerResponse, callback: () => void): void {
  if (outgoing.socket !== null) {
    outgoing.once('close', callback);
    return;
  }
  const { socket } = outgoing.req;
  const onClose = (): void => {
    outgoing.off('close', onClose);
    socket.off('close', onClose);
    callback();
  };
  // As many as stand in line: no leak, each is gone with its answer.
  socket.setMaxListeners(0);
  outgoing.on('close', onClose);
  socket.on('close', onClose);
}
