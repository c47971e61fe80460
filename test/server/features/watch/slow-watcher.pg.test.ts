import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { WATCH_SUBPROTOCOL } from '../../../../src/contract/constants.ts';
import type { Event } from '../../../../src/contract/events.ts';
import type { ServerFrame } from '../../../../src/contract/frames.ts';
import { SocketConnection } from '../../../../src/server/ws/connection.ts';
import type { TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { ADMIN_KEY } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

/** The whole of it takes 100 connections; what happens on them is drawn anew in each run, and the seed is printed when it fails. */
const CONNECTIONS = 100;

/** A client that keeps what it saw and where it stands over any number of connections. */
class Watcher {
  readonly seqs: number[] = [];
  readonly frames: { readonly seqs: readonly number[]; readonly isPartial: boolean }[] = [];
  after = 'start';
  #socket: WebSocket | undefined;

  async connect(board: TestBoard): Promise<void> {
    const url = `${board.server.url.replace('http', 'ws')}${board.path('/watch')}`;
    const socket = new WebSocket(url, [WATCH_SUBPROTOCOL], {
      headers: { Authorization: `Bearer ${ADMIN_KEY}` },
    });
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      // What arrives after the cut belongs to nobody: a killed process would not have seen it.
      if (this.#socket === socket) this.#receive(JSON.parse(data.toString('utf8')) as ServerFrame);
    });
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'watch', id: 'w', after: this.after }));
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  cut(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  #receive(frame: ServerFrame): void {
    if (frame.type === 'error') throw new Error(`the server sent ${JSON.stringify(frame)}`);
    if (frame.type === 'events') {
      const events = frame.events as Event[];
      this.seqs.push(...events.map((event) => event.seq));
      this.frames.push({ seqs: events.map((event) => event.seq), isPartial: frame['partial'] === true });
    }
    if (frame.type === 'events' || frame.type === 'bookmark') this.after = frame.cursor;
  }
}

/** From one seed the same numbers between 0 and 1. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Writes events of about a kilobyte past the API, in transactions of different sizes; the servers find them by their poll. */
async function writeEvents(board: TestBoard, transactions: readonly number[]): Promise<void> {
  const { sql } = servers.database;
  for (const rows of transactions)
    await sql.begin(async (tx) => {
      const [counter] = await tx<{ board_id: number; seq: number }[]>`
        UPDATE board_seq SET seq = seq + ${rows} WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})
        RETURNING board_id, (seq - ${rows})::int AS seq`;
      await tx`
        INSERT INTO events (board_id, seq, kind, at, actor_type, actor_id, data)
        SELECT ${Number(counter?.board_id)}, ${Number(counter?.seq)} + n, 'board.updated', clock_timestamp(), 'system', 'test',
          jsonb_build_object('text', repeat(md5(n::text), 30))
        FROM generate_series(1, ${rows}::int) AS n`;
    });
}

describe('a watcher', () => {
  test('that stops reading is parked, and gets all the rest once it reads again, each event once', async () => {
    const [board] = await servers.board();
    const refusals = vi.spyOn(SocketConnection.prototype, 'send');
    onTestFinished(() => refusals.mockRestore());
    const isParked = () => refusals.mock.results.some((result) => result.value === false);
    // More than the system's own buffers on both sides hold.
    await writeEvents(board, [5000, 5000, 5000]);
    const watcher = new Watcher();
    await watcher.connect(board);
    watcher.pause();
    onTestFinished(() => watcher.cut());
    await eventually('the watch is parked', isParked);
    await writeEvents(board, [500]);
    watcher.resume();
    await eventually('all has come', () => watcher.seqs.length >= 15_501);
    expect(watcher.seqs).toEqual(upTo(15_501));
  });

  test('that is killed, paused, throttled and connected again a hundred times ends with exactly the log', async () => {
    const seed = Date.now() % 2 ** 32;
    const random = randomFrom(seed);
    const upToRandom = (most: number) => Math.floor(random() * (most + 1));
    const [near, far] = await servers.board();
    const watcher = new Watcher();
    const writes: Promise<unknown>[] = [];
    let written = 1;
    const write = async (): Promise<void> => {
      const count = 1 + upToRandom(100);
      await near.tasks('work', count, { title: 'x'.repeat(400) });
      written += count;
    };
    /** One more frame, or all there is. */
    const more = () => {
      const { length } = watcher.frames;
      const isThere = () => watcher.frames.length > length || watcher.seqs.length >= written;
      return eventually(`a frame (seed ${seed})`, isThere);
    };
    for (let round = 0; round < CONNECTIONS; round += 1) {
      writes.push(write());
      await watcher.connect(random() < 0.5 ? near : far);
      for (let step = upToRandom(2); step > 0; step -= 1) {
        watcher.pause();
        if (random() < 0.3) await write();
        watcher.resume();
        await more();
      }
      watcher.cut();
    }
    await Promise.all(writes);
    await watcher.connect(far);
    onTestFinished(() => watcher.cut());
    const log = await near.events();
    expect(log).toHaveLength(written);
    await eventually(`the end of the log (seed ${seed})`, () => watcher.seqs.length >= log.length);
    expect(watcher.seqs, `seed ${seed}`).toEqual(log.map((event) => event.seq));
  });
});

describe('a transaction', () => {
  test('comes in one frame, live and from the log, also to who was parked in between', async () => {
    const [board, elsewhere] = await servers.board();
    const sizes = [1, 40, 90, 1, 1, 77, 3];
    const watchers = [new Watcher(), new Watcher()];
    const [live, late] = watchers as [Watcher, Watcher];
    for (const watcher of watchers) onTestFinished(() => watcher.cut());
    await live.connect(elsewhere);
    await eventually('it watches', () => live.seqs.length === 1);
    await writeEvents(board, sizes);
    await late.connect(board);
    const total = 1 + sizes.reduce((sum, size) => sum + size);
    for (const watcher of watchers) {
      await eventually('all has come', () => watcher.seqs.length === total);
      expect(watcher.seqs).toEqual(upTo(total));
      const ends = [0, ...sizes].map((_, at) => 1 + sizes.slice(0, at).reduce((sum, size) => sum + size, 0));
      for (const frame of watcher.frames) {
        expect(frame.isPartial).toBe(false);
        expect(ends).toContain(frame.seqs.at(-1));
      }
    }
  });

  test('that is larger than a frame, or than a read of the log, comes in frames that say so, all but its last', async () => {
    const [board, elsewhere] = await servers.board();
    const sizes = [2, 1500, 1];
    const watchers = [new Watcher(), new Watcher()];
    const [live, late] = watchers as [Watcher, Watcher];
    for (const watcher of watchers) onTestFinished(() => watcher.cut());
    await live.connect(elsewhere);
    await eventually('it watches', () => live.seqs.length === 1);
    await writeEvents(board, sizes);
    await late.connect(board);
    for (const watcher of watchers) {
      await eventually('all has come', () => watcher.seqs.length === 1504);
      expect(watcher.seqs).toEqual(upTo(1504));
      const partial = watcher.frames.filter((frame) => frame.isPartial);
      const whole = watcher.frames.filter((frame) => !frame.isPartial);
      expect(partial.length).toBeGreaterThan(5);
      // Whatever ended inside the large one said so, and whatever did not say so ended with a transaction.
      for (const { seqs } of whole) expect([1, 3, 1503, 1504]).toContain(seqs.at(-1));
    }
  });
});
