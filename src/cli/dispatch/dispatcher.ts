/**
 * Serves the lanes of kind spawn of one board: a process per task, as each lane says. Follows the lanes while it runs, by
 * their events and by a look at all of them now and then. It takes up what an earlier dispatcher of its name has left
 * before it claims anything, and touches no lane of another kind: those have workers of their own, or people.
 */
import { onAbort } from '../../client/abort-hub.ts';
import type { Client } from '../../client/client.ts';
import { Availability } from '../../client/worker/availability.ts';
import { Bell } from '../../client/worker/bell.ts';
import { messageOf } from '../../client/worker/plain-text.ts';
import type { Lane } from '../../contract/lanes.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import type { Reporter } from '../worker/reporter.ts';
import type { RunStart } from '../worker/task-run.ts';
import { ServedLane, type ServedLaneOptions } from './served-lane.ts';
import type { SpawnLauncher } from './spawn-launcher.ts';

export interface DispatcherOptions
  extends Omit<
    ServedLaneOptions,
    'lane' | 'isNamed' | 'onSuperseded' | 'tasksMax' | 'connectSeconds' | 'mayRegister'
  > {
  /** Reads the lanes. */
  readonly client: Client;
  /** Claims for a lane; null: there is no key for that. Throws why the key that there is cannot be used. */
  readonly clientFor: (lane: string) => Client | null;
  /** null: all of kind spawn. */
  readonly lanes: readonly string[] | null;
  /** What it is called; on a lane it is the worker NAME/LANE. */
  readonly worker: string;
  readonly spawner: SpawnLauncher;
  readonly reporter: Reporter;
}

/** Between looks at all lanes: a floor under lost events. Also how soon a lane is tried again that has failed. */
const LOOK_MS = 30_000;
const LANE_KINDS = ['lane.registered', 'lane.updated', 'lane.deregistered', 'lane.paused', 'lane.resumed'];
/** Of one page of lanes. */
const REQUEST_TIMEOUT_MS = 10_000;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #availability: Availability;
  readonly #lanes = new Map<string, ServedLane>();
  readonly #bell = new Bell();
  readonly #leave = new AbortController();
  #failure: unknown;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#availability = new Availability(options.client, options.reporter);
    for (const name of options.lanes ?? []) this.#laneOf(name);
  }

  /** Resolves when it has left in good order; throws what ended it otherwise. */
  async run(): Promise<void> {
    const { drain } = this.#options;
    const stopListening = onAbort(drain, () => this.#leave.abort());
    if (drain.aborted) this.#leave.abort();
    this.#recover();
    const listening = this.#listen();
    try {
      if (this.#options.endsWhenIdle) await this.#serveOnce();
      else await this.#serve();
    } catch (error) {
      this.#failure ??= error;
    }
    this.#leave.abort();
    // Nothing is claimed any more; what runs has the time that a drain gives it, or all that it needs.
    for (const lane of this.#lanes.values()) lane.retire();
    const ends = await Promise.allSettled([...this.#lanes.values()].map((lane) => lane.left()));
    await listening;
    stopListening();
    for (const end of ends) if (end.status === 'rejected') this.#failure ??= end.reason;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #serve(): Promise<void> {
    let isFirst = true;
    while (!this.#leave.signal.aborted) {
      await this.#look();
      if (isFirst) this.#introduce();
      isFirst = false;
      await this.#bell.wait(LOOK_MS, this.#leave.signal);
    }
  }

  /**
   * Until a look at all lanes starts nothing, and nothing ran before it, as what was taken up does: what a task has set free, be it
   * only its place, may be of a lane that had ended.
   */
  async #serveOnce(): Promise<void> {
    let isOver = false;
    while (!isOver && !this.#leave.signal.aborted) {
      const before = this.#startedCount;
      const wasBusy = [...this.#lanes.values()].some((lane) => lane.isBusy);
      await this.#look();
      await Promise.all([...this.#lanes.values()].map((lane) => lane.settled()));
      isOver = !wasBusy && before === this.#startedCount;
    }
  }

  get #startedCount(): number {
    return [...this.#lanes.values()].reduce((sum, lane) => sum + lane.startedCount, 0);
  }

  /** Brings every lane up to date. */
  async #look(): Promise<void> {
    const { lanes: named, clientFor } = this.#options;
    const found = await this.#readLanes();
    if (found === null) return;
    for (const [name, lane] of found) {
      const isNew = !this.#lanes.has(name);
      if (isNew && (named !== null || lane.kind !== 'spawn')) continue;
      this.#laneOf(name);
    }
    for (const [name, served] of this.#lanes) {
      try {
        served.update(found.get(name) ?? null, clientFor);
      } catch (error) {
        // What is wrong with one lane, or its key, is no reason to leave the others alone.
        served.refuse(messageOf(error));
      }
    }
  }

  /** null when it leaves meanwhile. Throws what waiting does not mend. */
  #readLanes(): Promise<ReadonlyMap<string, Lane> | null> {
    const { client } = this.#options;
    const { signal } = this.#leave;
    const options = { signal, timeoutMs: REQUEST_TIMEOUT_MS, retry: { attemptsMax: 1 } };
    return this.#availability.ask(async () => {
      const found = new Map<string, Lane>();
      let token: string | undefined;
      do {
        const page = await client.lanes.list({ page_token: token }, options);
        for (const lane of page.lanes) found.set(lane.name, lane);
        token = page.next_page_token ?? undefined;
      } while (token !== undefined);
      return found;
    }, signal);
  }

  #recover(): void {
    const { spawner, reporter, client, clientFor } = this.#options;
    const byLane = new Map<string, RunStart[]>();
    for (const start of spawner.recover()) {
      const { lane } = start.claim;
      byLane.set(lane, [...(byLane.get(lane) ?? []), start]);
    }
    for (const [lane, starts] of byLane) {
      reporter.note(`lane ${lane}: going on with ${starts.length} that an earlier dispatcher has left`);
      // Every claim's own token speaks for it, whatever else the key may do.
      this.#laneOf(lane).adopt(
        usableOr(client, () => clientFor(lane)),
        starts,
      );
    }
  }

  #laneOf(name: string): ServedLane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const made = new ServedLane({
      ...this.#options,
      availability: this.#availability,
      lane: name,
      // On each lane it is another worker: what it did on one it may review on the next.
      worker: `${this.#options.worker}/${name}`,
      isNamed: this.#options.lanes?.includes(name) ?? false,
      tasksMax: null,
      connectSeconds: null,
      mayRegister: false,
      onSuperseded: () => this.#giveWay(),
    });
    this.#lanes.set(name, made);
    return made;
  }

  /** A newer dispatcher of this name is at work. The worker has said so. */
  #giveWay(): void {
    this.#failure ??= new ExitError(EXIT.conflict);
    this.#leave.abort();
  }

  #introduce(): void {
    const { client, reporter, worker, lanes } = this.#options;
    const what = lanes === null ? 'all lanes of kind spawn' : `lanes ${lanes.join(', ')}`;
    reporter.note(`dispatching ${what} of board ${client.board} as ${worker}; Ctrl-C drains`);
  }

  /** Hints only: without them it looks every half minute. Never rejects. */
  async #listen(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#leave;
    while (!signal.aborted) {
      try {
        const options = {
          kinds: LANE_KINDS,
          onState: (state: string) => {
            if (state === 'live') this.#bell.ring();
          },
        };
        for await (const _ of client.watch(options, signal)) this.#bell.ring();
        return;
      } catch {
        // Refused, or its cursor is gone; from now on again, but not in a hurry.
        await client.transport.timing.wait(LOOK_MS, signal).catch(() => undefined);
      }
    }
  }
}

function usableOr(otherwise: Client, find: () => Client | null): Client {
  try {
    return find() ?? otherwise;
  } catch {
    return otherwise; // The look at all lanes says why.
  }
}
