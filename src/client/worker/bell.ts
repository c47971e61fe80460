/** Wakes one waiting loop. A ring before the wait is not lost; many rings are one. */
import { onAbort } from '../abort-hub.ts';

export class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Returns when rung, after `ms`, or when the signal fires; the caller looks at the world itself. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isRung && !signal.aborted) {
      let stopListening = (): void => undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        stopListening = onAbort(signal, this.#wake);
      });
      stopListening();
      this.#wake = undefined;
    }
    this.#isRung = false;
  }
}
