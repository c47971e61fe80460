import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ServerFrame } from '../../src/contract/frames.ts';
import { useBench } from '../fixtures/bench.ts';
import { eventually } from '../fixtures/eventually.ts';
import { frameBytes, OPCODES, type RawSocket, upgradeRaw } from '../fixtures/raw-socket.ts';
import { type FuzzFrame, fuzzFrames } from './frame-fuzz-frames.ts';

const bench = useBench();

/** Another one shows another 5,000: FRAME_FUZZ_SEED=1 npx vitest run --project pg test/security/frame-fuzz.pg.test.ts */
const SEED = Number(process.env['FRAME_FUZZ_SEED'] ?? 20_261_121);
const FRAMES = 5000;
/** Of each principal. */
const SOCKETS = 2;
/** What may end a socket here: the protocol was broken, or the frames were no frames. */
const CLOSE_CODES_EXPECTED = new Set([1002, 1005, 1007, 1008, 1009, 4400]);

/** Sends frames one after the other, each when the one before has had its effect, on a new socket whenever the last one was ended. */
class Sender {
  readonly closeCodes = new Set<number>();
  readonly received: ServerFrame[] = [];
  /** Ids that ought to be answered, and were neither that nor cut off by the end of their socket. */
  readonly unanswered: string[] = [];
  readonly #token: string;
  readonly #name: string;
  #socket: RawSocket | undefined;
  #ids: string[] = [];

  constructor(name: string, token: string) {
    this.#name = name;
    this.#token = token;
  }

  async send(frame: FuzzFrame, number: number): Promise<void> {
    const socket = await this.#open();
    const id = `${this.#name}-${number}`;
    if (frame.isAnswered) this.#ids.push(id);
    socket.write(frame.wire(id));
    // Frames are taken in order: when this one is answered, the one before was taken or ended the socket, or holds it up as a part of more.
    const barrier = `after-${id}`;
    socket.write(frameBytes(OPCODES.text, JSON.stringify({ type: 'unwatch', id: barrier })));
    if (frame.what === 'bytes') {
      // They may announce more than they bring, and take all that follows for it.
      socket.write(frameBytes(OPCODES.close));
      socket.end();
    }
    await socket.until(`frame ${number} of seed ${SEED} (${frame.what})`, () => {
      const { frames } = socket;
      const isThrough = frames.some((received) => 'id' in received && received.id === barrier);
      return socket.isEnded || (isThrough && frame.what !== 'bytes');
    });
    if (socket.isEnded) this.#forget(socket, frame.what === 'bytes');
  }

  /** What runs side by side may be answered after the barrier. */
  async finish(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return;
    const answered = () => new Set(socket.frames.map((frame) => ('id' in frame ? frame.id : undefined)));
    await eventually('all are answered', () => this.#ids.every((id) => answered().has(id)), 3000).catch(
      () => {
        this.unanswered.push(...this.#ids.filter((id) => !answered().has(id)));
      },
    );
    socket.write(frameBytes(OPCODES.close));
    await socket.until('the socket ends', () => socket.isEnded);
    this.#forget(socket, false);
  }

  async #open(): Promise<RawSocket> {
    if (this.#socket !== undefined) return this.#socket;
    const socket = await upgradeRaw(bench.server, { headers: { Authorization: `Bearer ${this.#token}` } });
    expect(socket.status, `a new socket for ${this.#name}, seed ${SEED}`).toBe(101);
    this.#socket = socket;
    return socket;
  }

  /** @param mayBeCut Its last frame had no end, so there was nobody to tell a code. Anywhere else this is what a crash looks like. */
  #forget(socket: RawSocket, mayBeCut: boolean): void {
    if (socket.closeCode !== null || !mayBeCut) this.closeCodes.add(socket.closeCode ?? 1006);
    this.received.push(...socket.frames);
    expect(socket.isWrong, `seed ${SEED}`).toBe(false);
    socket.destroy();
    this.#socket = undefined;
    this.#ids = [];
  }
}

/** What a refused frame must not change: what is written of tasks, but for what a holder's heartbeat may note, and how many there are of all. */
async function footprint(): Promise<unknown> {
  const { sql } = bench.database;
  const { counts } = (await bench.footprint()) as { counts: unknown };
  const events =
    await sql`SELECT seq, kind, data FROM events WHERE kind LIKE 'task.%' AND kind NOT IN ('task.progress', 'task.heartbeat') ORDER BY board_id, seq`;
  const tasks = await sql`SELECT id, status, version, attempt FROM tasks ORDER BY id`;
  return { counts, events: [...events], tasks: [...tasks] };
}

test(`${FRAMES} hostile frames (seed ${SEED}) crash nothing, are answered by the contract, and change nothing`, async () => {
  await bench.makeLane('default', 'work');
  await bench.makeLane('default', 'pushed', { claim_mode: 'push' });
  const task = await bench.makeTask('default', { lane: 'work' });
  // Longer than the test may take on a machine that is busy.
  const held = await bench.claim('default', 'work', { worker: 'holder', lease_seconds: 3600 });
  const { secret: laneKey } = await bench.makeKey({ role: 'lane', board: 'default', lane: 'work' });
  const { secret: observer } = await bench.makeKey({ role: 'observer', boards: ['default'] });
  const { secret: admin } = await bench.makeKey({ role: 'admin', boards: ['default'] });
  const { cursor } = (await bench.api.get('/v1/boards/default')).body.board;
  const before = await footprint();

  const frames = fc.sample(fuzzFrames({ runId: held.run_id, taskId: task.id, cursor }), {
    numRuns: FRAMES,
    seed: SEED,
  });
  const principals = { admin, lane: laneKey, observer, claim: held.token };
  const senders = Object.entries(principals).flatMap(([name, token]) =>
    Array.from({ length: SOCKETS }, (_, index) => new Sender(`${name}${index}`, token)),
  );
  await Promise.all(
    senders.map(async (sender, lane) => {
      for (let number = lane; number < frames.length; number += senders.length) {
        const frame = frames[number];
        if (frame !== undefined) await sender.send(frame, number);
      }
      await sender.finish();
    }),
  );

  const where = `seed ${SEED}`;
  const received = senders.flatMap((sender) => sender.received);
  const wrong = received.filter((frame) => !ServerFrame.safeParse(frame).success);
  expect(wrong.slice(0, 3), where).toEqual([]);
  const codes = new Set(
    received.flatMap((frame) => {
      if (frame.type === 'error') return [frame.code];
      return frame.type === 'reply' && frame.problem ? [frame.problem.code] : [];
    }),
  );
  expect([...codes], where).not.toContain('internal');
  expect([...codes], where).not.toContain('database_unavailable');
  expect(
    senders.flatMap((sender) => sender.unanswered),
    where,
  ).toEqual([]);
  const closeCodes = new Set(senders.flatMap((sender) => [...sender.closeCodes]));
  expect(
    [...closeCodes].filter((code) => !CLOSE_CODES_EXPECTED.has(code)),
    where,
  ).toEqual([]);
  expect(await footprint(), where).toEqual(before);
  expect(({} as { polluted?: unknown }).polluted, where).toBeUndefined();

  // Not all turned away at the door.
  expect([...codes]).toEqual(expect.arrayContaining(['invalid_request', 'forbidden', 'not_your_claim']));
  expect([...closeCodes]).toEqual(expect.arrayContaining([1002, 1007, 1009, 4400]));
  const served = received.filter(
    (frame) => frame.type === 'watching' || (frame.type === 'reply' && frame.ok),
  );
  expect(served.length).toBeGreaterThan(100);

  const fresh = await upgradeRaw(bench.server);
  fresh.send({ type: 'watch', id: 'fresh' });
  await fresh.frame('watching');
  const made = await bench.makeTask('default', { lane: 'work' });
  await eventually('a fresh watch hears of it', () =>
    fresh.frames.some((frame) => frame.type === 'events' && frame.events.some((e) => e.task_id === made.id)),
  );
  expect((await bench.api.get('/readyz')).status).toBe(200);
}, 120_000);
