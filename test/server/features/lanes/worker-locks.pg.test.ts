/** Hellos, sightings, departures and the end of a lane lock the same workers: in one order, or without waiting. */
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { closeWorkerSockets, openWorkerSockets } from '../../../../src/server/features/lanes/service.ts';
import { recordSightings } from '../../../../src/server/features/lanes/store/presence.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { expectStatus, makeBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { only } from '../../../fixtures/eventually.ts';
import { useTestServer } from '../../../fixtures/server.ts';

const LANES = ['a', 'b', 'c'];
/** Enough that every pair of them meets: with the locks of the lane's end in heap order it meets in a circle within the first few. */
const ROUNDS = 30;
const WORKERS = 60;

test('they do not meet in a circle, however often', async () => {
  const { url, sql } = await useTestDatabase();
  const server = await useTestServer(url);
  const database = openDatabase({ url });
  onTestFinished(() => database.close());
  const board = await makeBoard(server);
  const { id } = only(await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`);
  const all = LANES.flatMap((lane) =>
    Array.from({ length: WORKERS }, (_, index) => ({ lane, worker: `w${index}`, version: null })),
  );
  const shuffled = () => [...all].sort(() => Math.random() - 0.5);
  let isOver = false;
  const forever = async (work: () => Promise<unknown>): Promise<void> => {
    while (!isOver) await work();
  };
  const { cold } = database;
  const sockets = (): { lane: string; worker: string; version: null; socketId: Uuid }[] =>
    shuffled().map((worker) => ({ ...worker, socketId: randomUUID() as Uuid }));
  const changing = [
    // As one server does for a board: hellos without a gap would keep the end of a lane waiting.
    forever(() => openWorkerSockets(cold, id, sockets())),
    forever(() =>
      recordSightings(
        cold,
        shuffled().map((worker) => ({ ...worker, boardId: id })),
      ),
    ),
    forever(async () => {
      const rows = await sql<{ worker: string; socketId: Uuid }[]>`
        SELECT worker, socket_id AS "socketId" FROM workers WHERE board_id = ${id} AND lane = 'a' AND socket_id IS NOT NULL`;
      const closings = rows.map((row) => ({ ...row, secondsAgo: 0 }));
      await cold.begin(async (tx) => {
        await closeWorkerSockets(tx, id, 'a', closings);
        // As a departure that ends claims.
        await tx`SELECT FROM board_seq WHERE board_id = ${id} FOR UPDATE`;
      });
    }),
  ];
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(LANES.map((lane) => board.lane(lane)));
      await Promise.all(
        LANES.map(async (lane) => expectStatus(await board.call('DELETE', `/lanes/${lane}`), 200, 204)),
      );
    }
  } finally {
    isOver = true;
  }
  await Promise.all(changing);
  const [counted] = await sql<{ deadlocks: number }[]>`
    SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`;
  expect(counted).toEqual({ deadlocks: 0 });
});
