/** A command that a signal ends in good order: what it has begun is undone before the program leaves. */
import { Interrupted } from './command.ts';
import { onStopSignal } from './stop-signal.ts';

export async function interruptible<T>(after: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopping = new AbortController();
  void onStopSignal(stopping);
  try {
    return await work(stopping.signal);
  } catch (error) {
    // Whatever it failed of then, it was told to.
    throw stopping.signal.aborted ? new Interrupted(`interrupted; ${after}`) : error;
  }
}
