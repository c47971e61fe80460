/** The operations of one action on many tasks, one after the other, and what they come to together. Knows no view. */
import type { Client, ReplyOf } from '../../client/index.ts';
import type { Answers } from '../ui/question.ts';
import { type BulkOffer, bodiesOf } from './bulk.ts';

type Operation = ReplyOf<'getOperation'>['operation'];

export interface BulkRun {
  readonly label: string;
  readonly total: number;
  readonly succeeded: number;
  readonly failedCount: number;
  /** The first of them; the server lists no more. */
  readonly failed: Operation['failed'];
  /** Tasks of parts that are not begun: nobody but this page will begin them. */
  readonly unbegunCount: number;
  readonly state: 'running' | 'cancelling' | 'done' | 'stopped';
  /** Why it could not be begun or looked after. */
  readonly error: unknown;
}

/** A look at it answers at once when it ends, and after so long in any case, so that progress is seen. */
const LOOK_SECONDS = 1;

export class BulkWork {
  readonly #client: Client;
  readonly #offer: BulkOffer;
  readonly #onChange: (run: BulkRun) => void;
  readonly #ended: Operation[] = [];
  #operation: Operation | null = null;
  #unbegunCount: number;
  #isCancelled = false;

  constructor(client: Client, offer: BulkOffer, onChange: (run: BulkRun) => void) {
    this.#client = client;
    this.#offer = offer;
    this.#onChange = onChange;
    this.#unbegunCount = offer.count;
  }

  /** Until all is done, or `signal`: what was begun then goes on by itself, and no further part is begun. */
  async run(answers: Answers, signal: AbortSignal): Promise<void> {
    this.#tell('running');
    try {
      for (const body of bodiesOf(this.#offer, answers)) {
        if (this.#isCancelled || signal.aborted) break;
        const { operation } = await this.#client.tasks.bulk(body, { signal });
        this.#operation = operation;
        this.#unbegunCount -= body.ids?.length ?? 0;
        if (this.#isCancelled) await this.#client.tasks.cancelOperation(operation.id, { signal });
        await this.#lookAfter(operation, signal);
      }
      const isStopped = this.#isCancelled || this.#ended.some(({ status }) => status === 'stopped');
      this.#tell(isStopped ? 'stopped' : 'done');
    } catch (error) {
      if (!signal.aborted) this.#tell('stopped', error);
    }
  }

  /** What it has done stays done. */
  async cancel(): Promise<void> {
    this.#isCancelled = true;
    this.#tell('running');
    if (this.#operation !== null) await this.#client.tasks.cancelOperation(this.#operation.id);
  }

  async #lookAfter(begun: Operation, signal: AbortSignal): Promise<void> {
    for (let operation = begun; ; ) {
      if (operation.status !== 'running') {
        this.#operation = null;
        this.#ended.push(operation);
        return;
      }
      this.#operation = operation;
      this.#tell('running');
      const options = { signal, waitSeconds: LOOK_SECONDS };
      ({ operation } = await this.#client.tasks.operation(operation.id, options));
    }
  }

  #tell(state: 'running' | 'done' | 'stopped', error: unknown = null): void {
    const all = this.#operation === null ? this.#ended : [...this.#ended, this.#operation];
    const sum = (read: (operation: Operation) => number): number =>
      all.reduce((total, operation) => total + read(operation), 0);
    this.#onChange({
      label: this.#offer.action.label,
      total: this.#offer.count,
      succeeded: sum(({ succeeded }) => succeeded),
      failedCount: sum(({ failed_count: count }) => count),
      failed: all.flatMap(({ failed }) => failed),
      unbegunCount: state === 'running' && !this.#isCancelled ? this.#unbegunCount : 0,
      state: state === 'running' && this.#isCancelled ? 'cancelling' : state,
      error,
    });
  }
}
