/**
 * Follows the log of a board that prunes it, and writes down where it asked to go on, and every event that it was given. Some are there all
 * the time; others pause for so long that what comes next is often gone by then, and begin again: where the log begins, one event at first,
 * so that they are at its edge when they go on; or behind a snapshot, as the protocol has it.
 */
import { Random } from '../random.ts';
import { nowMs, Recorder } from '../recorder.ts';
import type { ResumeEntry } from '../watch-entries.ts';
import { call } from './call.ts';
import { joinRun, type PartyChannel } from './party-channel.ts';
import { after, pause } from './pause.ts';
import { pollOnce, type Sighting, watchBySocket, watchByStream } from './watch-ways.ts';

const RECONNECT_MS = [20, 300] as const;
const STEADY_MS = [700, 9000] as const;
/** Of one that comes by: long enough for all that is there. */
const VISIT_MS = [200, 1500] as const;
/** Of the longest pause: around what is kept. */
const PAUSE_SHARE = [0.2, 1] as const;
/** From where the log begins: in about half of the cases the pruner has been there meanwhile. */
const AT_EDGE_MS = [0, 900] as const;
/** Whoever has lost his place reads a snapshot each so many times, and begins where the log does the others. */
const SNAPSHOT_EVERY = 3;

/** By turns. */
const WAYS = ['socket', 'polls', 'stream'] as const;

type Place = Pick<ResumeEntry, 'from' | 'after'>;

class ResumingWatcher {
  readonly #channel: PartyChannel;
  readonly #recorder: Recorder;
  readonly #random: Random;
  #connection = 0;
  #visits = 0;
  #expiries = 0;
  /** Where to go on; null: what follows is gone, and there is no new place yet. */
  #place: Place | null = { from: 'start', after: 'start' };
  #seq = 0;

  constructor(channel: PartyChannel) {
    this.#channel = channel;
    this.#recorder = new Recorder(channel.config.directory, channel.config.process);
    this.#random = new Random(channel.config.seed).of(channel.config.process);
    channel.onReport(() => ({ told: 'seq', seq: this.#seq }));
  }

  async run(): Promise<void> {
    const { leaving, quiet, config } = this.#channel;
    const { pauseSecondsMax } = config;
    while (!leaving.aborted) {
      const isNew = await this.#findPlace();
      await pause(isNew ? this.#random.between(...AT_EDGE_MS) : 0, quiet);
      await this.#visit();
      const isAway = pauseSecondsMax !== undefined && this.#place !== null;
      const pauseMs = isAway ? pauseSecondsMax * 1000 * this.#random.between(...PAUSE_SHARE) : 0;
      await pause(pauseMs, quiet);
      await pause(this.#random.between(...RECONNECT_MS), leaving);
    }
    this.#recorder.write({ entry: 'watch_end', process: this.#recorder.process, at: nowMs() });
  }

  /** False: it has one. */
  async #findPlace(): Promise<boolean> {
    const { leaving } = this.#channel;
    if (this.#place !== null && this.#place.from !== 'start') return false;
    this.#expiries += 1;
    if (this.#expiries % SNAPSHOT_EVERY === 0) {
      this.#place = await this.#readSnapshot();
    } else {
      this.#place = { from: 'start', after: 'start' };
      await this.#poll(leaving, 1);
    }
    return true;
  }

  /** null: there was no answer. */
  async #readSnapshot(): Promise<Place | null> {
    const { config } = this.#channel;
    const { body } = await call({
      url: this.#random.pick(config.urls),
      method: 'GET',
      path: `/v1/boards/${config.board}/snapshot`,
      key: config.observerKey,
    });
    const { cursor } = body as { cursor?: string };
    return cursor === undefined ? null : { from: 'snapshot', after: cursor };
  }

  /** Over a socket, by polls until it has all that there is and its time is over, or by a stream. */
  async #visit(): Promise<void> {
    const { leaving, quiet, config } = this.#channel;
    const isSteady = config.pauseSecondsMax === undefined || quiet.aborted;
    const [minMs, maxMs] = isSteady ? STEADY_MS : VISIT_MS;
    const cut = AbortSignal.any([leaving, after(this.#random.between(minMs, maxMs))]);
    const way = WAYS[this.#visits % WAYS.length];
    this.#visits += 1;
    if (this.#place === null) return;
    if (way === 'socket') await watchBySocket(this.#connectionFrom(this.#place, cut));
    else if (way === 'stream') await watchByStream(this.#connectionFrom(this.#place, cut));
    else await this.#pollUntil(cut);
  }

  async #pollUntil(cut: AbortSignal): Promise<void> {
    while (!cut.aborted && this.#place !== null) {
      await this.#poll(cut);
      await pause(this.#random.between(...RECONNECT_MS), cut);
    }
  }

  async #poll(signal: AbortSignal, eventsMax?: number): Promise<void> {
    if (this.#place !== null) await pollOnce(this.#connectionFrom(this.#place, signal), eventsMax);
  }

  /** Written down before it is asked for. */
  #connectionFrom(place: Place, signal: AbortSignal) {
    const { config } = this.#channel;
    this.#connection += 1;
    const common = { process: this.#recorder.process, connection: this.#connection };
    this.#recorder.write({ entry: 'resume', ...common, at: nowMs(), ...place });
    return {
      url: this.#random.pick(config.urls),
      board: config.board,
      key: config.observerKey,
      after: place.after,
      signal,
      onSighting: ({ events, cursor = events.at(-1)?.cursor }: Sighting): void => {
        for (const event of events) {
          this.#recorder.write({ entry: 'received', ...common, at: nowMs(), event });
          this.#seq = Math.max(this.#seq, event.seq);
        }
        if (cursor !== undefined) this.#place = { from: 'cursor', after: cursor };
      },
      onExpired: (): void => {
        this.#recorder.write({ entry: 'expired', ...common, at: nowMs() });
        this.#place = null;
      },
    };
  }
}

await new ResumingWatcher(await joinRun()).run();
process.exit(0);
