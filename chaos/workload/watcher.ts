/** Follows the board's log from its start to its end, through every cut, and writes down what it is told, exactly as it is told. */
import { Random } from '../random.ts';
import { nowMs, Recorder } from '../recorder.ts';
import { joinRun, type PartyChannel } from './party-channel.ts';
import { after, pause } from './pause.ts';
import { pollOnce, type Sighting, watchBySocket, watchByStream } from './watch-ways.ts';

const RECONNECT_MS = [20, 300] as const;
/** A watcher that is never cut proves little: it cuts itself, in the middle of whatever comes. */
const CONNECTION_MS = [700, 9000] as const;

class Watcher {
  readonly #channel: PartyChannel;
  readonly #recorder: Recorder;
  readonly #random: Random;
  #connection = 0;
  /** Where to go on. */
  #cursor = 'start';
  #seq = 0;

  constructor(channel: PartyChannel) {
    this.#channel = channel;
    this.#recorder = new Recorder(channel.config.directory, channel.config.process);
    this.#random = new Random(channel.config.seed).of(channel.config.process);
    channel.onReport(() => ({ told: 'seq', seq: this.#seq }));
  }

  async run(): Promise<void> {
    const { leaving } = this.#channel;
    while (!leaving.aborted) {
      this.#connection += 1;
      await this.#watch(AbortSignal.any([leaving, after(this.#connectionMs())]));
      await pause(this.#random.between(...RECONNECT_MS), leaving);
    }
    this.#recorder.write({ entry: 'watch_end', process: this.#recorder.process, at: nowMs() });
  }

  #connectionMs(): number {
    // At the end there is nothing to cut in the middle of.
    return this.#channel.quiet.aborted ? 60_000 : this.#random.between(...CONNECTION_MS);
  }

  #watch(signal: AbortSignal): Promise<void> {
    const { config } = this.#channel;
    const connection = {
      url: this.#random.pick(config.urls),
      board: config.board,
      key: config.observerKey,
      after: this.#cursor,
      signal,
      onSighting: (sighting: Sighting) => this.#see(sighting),
    };
    switch (config.way) {
      case 'stream':
        return watchByStream(connection);
      case 'poll':
        return pollOnce(connection);
      default:
        return watchBySocket(connection);
    }
  }

  #see({ events, cursor }: Sighting): void {
    const common = { process: this.#recorder.process, at: nowMs(), connection: this.#connection };
    for (const event of events) {
      this.#recorder.write({
        entry: 'watched',
        ...common,
        seq: event.seq,
        kind: event.kind,
        cursor: event.cursor,
      });
      this.#seq = Math.max(this.#seq, event.seq);
    }
    // Between the frames of a stream there is no cursor but that of its last event.
    const at = cursor ?? events.at(-1)?.cursor;
    if (at === undefined) return;
    this.#recorder.write({ entry: 'bookmark', ...common, seq: this.#seq, cursor: at });
    this.#cursor = at;
  }
}

await new Watcher(await joinRun()).run();
process.exit(0);
