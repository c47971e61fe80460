/**
 * Who watches the output of one board here, and the parcels on their way to them. What one worker prints may go to ten thousand watches: it is
 * handed out in slices. Each line goes to a watch once; what its socket had no room for is counted, and said as soon as it can be.
 */
import type { Uuid } from '../../../kernel/ids.ts';
import { isSliceOver, nextTurn } from '../../../kernel/time-slice.ts';
import type { OutputWatch } from '../../watch/service.ts';
import { emptyTail, type Parcel } from './output-parcel.ts';

/** Lost for one watch, until it can be told. */
interface Dropped {
  /** Null: nothing of the task has been there to read; its next line is, for the ring has grown meanwhile. */
  readonly runId: Uuid | null;
  readonly count: number;
}

interface Follower {
  /** The first parcel that it is to have: what was on its way when it came is not its own. */
  readonly fromParcel: number;
  readonly dropped: Map<Uuid, Dropped>;
}

/** Parcels that wait to be handed out: 6 MB at most. What comes then is read from the rings when there are none. */
const OUTBOX_MAX = 64;
/**
 * Tasks of which a watch is yet to be told that it has lost lines, at some 0.2 KiB each. Past it, its socket is ended: it reads more slowly than
 * it can be told what it misses, and a loss must not go unsaid.
 */
const DROPPED_TASKS_MAX = 1000;

export class OutputAudience {
  readonly #onError: (error: unknown) => void;
  readonly #watches = new Map<OutputWatch, Follower>();
  readonly #outbox: Parcel[] = [];
  /** All there ever were. */
  #parcelCount = 0;
  #isHandingOut = false;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get isEmpty(): boolean {
    return this.#watches.size === 0;
  }

  /** No more parcels for now. */
  get isFull(): boolean {
    return this.#outbox.length >= OUTBOX_MAX;
  }

  add(watch: OutputWatch): void {
    this.#watches.set(watch, { fromParcel: this.#parcelCount, dropped: new Map() });
  }

  remove(watch: OutputWatch): void {
    this.#watches.delete(watch);
  }

  /** Whether anybody wants output of this task. */
  wants(task: string, lane: string | null): boolean {
    return [...this.#watches.keys()].some((watch) => wants(watch, task, lane));
  }

  send(parcel: Parcel): void {
    this.#outbox.push(parcel);
    this.#parcelCount += 1;
    void this.#handOut();
  }

  /** At once as long as the slice lasts; then turn by turn. */
  async #handOut(): Promise<void> {
    if (this.#isHandingOut) return;
    this.#isHandingOut = true;
    try {
      for (;;) {
        const number = this.#parcelCount - this.#outbox.length;
        const parcel = this.#outbox.shift();
        if (parcel === undefined) return;
        for (const [watch, { fromParcel, dropped }] of this.#watches) {
          if (number < fromParcel || !wants(watch, parcel.task, parcel.lane)) continue;
          if (isSliceOver()) await nextTurn();
          // It may have left in this time, and been told that it has.
          if (this.#watches.has(watch)) this.#send(watch, dropped, parcel);
        }
      }
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#isHandingOut = false;
    }
  }

  /** It goes on with every turn, so this is soon; who only waits for it takes no share of them. */
  async untilHandedOut(): Promise<void> {
    while (this.#isHandingOut) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Whoever has lost lines and has room again is told of it. */
  async tellLosses(): Promise<void> {
    for (const [watch, { dropped }] of this.#watches) {
      if (dropped.size === 0) continue;
      if (isSliceOver()) await nextTurn();
      if (this.#watches.has(watch)) this.#sendDropped(watch, dropped);
    }
  }

  #send(watch: OutputWatch, dropped: Map<Uuid, Dropped>, { taskId, lost, portions }: Parcel): void {
    const known = dropped.get(taskId);
    let lostBefore = (known?.count ?? 0) + lost;
    let runId = known?.runId ?? null;
    for (const portion of portions) {
      runId = portion.runId;
      // Without room nothing is made.
      const isTaken = watch.hasRoom() && watch.send(portion.tail, lostBefore);
      lostBefore = isTaken ? 0 : lostBefore + portion.lines.length;
    }
    if (lostBefore > 0) dropped.set(taskId, { runId, count: lostBefore });
    else dropped.delete(taskId);
    if (dropped.size <= DROPPED_TASKS_MAX) return;
    this.remove(watch);
    watch.end();
  }

  /** The end of what was lost may be the end of the output: then nothing would follow that says so. */
  #sendDropped(watch: OutputWatch, dropped: Map<Uuid, Dropped>): void {
    for (const [taskId, { runId, count }] of dropped) {
      if (runId === null) continue;
      if (!watch.hasRoom() || !watch.send(emptyTail(taskId, runId), count)) return;
      dropped.delete(taskId);
    }
  }
}

function wants({ filter: { lanes, tasks } }: OutputWatch, task: string, lane: string | null): boolean {
  return (tasks === null || tasks.has(task)) && (lanes === null || (lane !== null && lanes.has(lane)));
}
