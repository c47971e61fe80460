/** The lanes of a live board: those of the snapshot, moved by the log. What an event does not say of a lane is read. */
import type { Client, Event, Lane } from '../../client/index.ts';

export type Lanes = ReadonlyMap<string, Lane>;

export class LiveLanes {
  readonly #client: Client;
  readonly #onChange: (lanes: Lanes) => void;
  /** Lanes that are read, each with its last read: the answer to an earlier one is dropped. */
  readonly #reads = new Map<string, symbol>();
  #lanes: Lanes = new Map();

  constructor(client: Client, onChange: (lanes: Lanes) => void) {
    this.#client = client;
    this.#onChange = onChange;
  }

  /** Everything was read anew. */
  reset(lanes: readonly Lane[]): void {
    this.dropAnswers();
    this.#change(new Map(lanes.map((lane) => [lane.name, lane])));
  }

  dropAnswers(): void {
    this.#reads.clear();
  }

  onEvent({ kind, lane: name = '', data }: Event): void {
    const lanes = new Map(this.#lanes);
    const known = lanes.get(name);
    if (kind === 'lane.deregistered') {
      lanes.delete(name);
      this.#reads.delete(name);
    } else if (known === undefined || kind === 'lane.registered') {
      void this.#read(name);
      return;
    } else {
      const online = kind === 'lane.online' || (known.presence.online && kind !== 'lane.offline');
      lanes.set(name, { ...known, ...data, name, presence: { ...known.presence, online } });
    }
    this.#change(lanes);
  }

  async #read(name: string): Promise<void> {
    const read = Symbol(name);
    this.#reads.set(name, read);
    try {
      const { lane } = await this.#client.lanes.get(name);
      if (this.#reads.get(name) === read) this.#change(new Map(this.#lanes).set(name, lane));
    } catch {
      // Gone again, or not to be had now: the next event of the lane, or the next snapshot, shows it.
    }
  }

  #change(lanes: Lanes): void {
    this.#lanes = lanes;
    this.#onChange(lanes);
  }
}
