/** How a command learns that it shall stop. */
import { EXIT } from './terminal.ts';

/** A terminal and `npm start` both pass on one Ctrl-C: signals this close together are one. */
const SAME_SIGNAL_MS = 1000;

/** Resolves at the first SIGINT or SIGTERM; a further one, at least a second later, ends the process at once. */
export function onStopSignal(stopping: AbortController): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const onSignal = (): void => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        stopping.abort();
        resolve();
      } else if (now - firstAt >= SAME_SIGNAL_MS) {
        process.exit(EXIT.error);
      }
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}
