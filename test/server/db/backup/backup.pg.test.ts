/** A backup is one moment of the database, whatever goes on beside it; and what does not become one leaves nothing. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkLogFold } from '../../../../chaos/checkers/log-fold.ts';
import { readFinalState } from '../../../../chaos/final-state.ts';
import { withMigrationsUpTo } from '../../../../src/server/db/backup/migration-level.ts';
import { migrateDatabase } from '../../../../src/server/db/migrate.ts';
import { TestBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { useTestServer } from '../../../fixtures/server.ts';
import { look, MIGRATIONS, restore, take, useBackupFile, useEmptyDatabase, verify } from './backed-up.ts';

/** Slow enough for many writes between two tables of a small database. */
const SLOW_BYTES_PER_SECOND = 200_000;

async function useBoard() {
  const database = await useTestDatabase();
  const server = await useTestServer(database.url);
  const board = new TestBoard(server, 'default');
  await board.lane('work');
  return { database, server, board };
}

/** Creates, claims and ends until it is told to stop; all of it must be accepted. */
async function keepBusy(board: TestBoard, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await board.tasks('work', 3, { body: 'x'.repeat(500) });
    const { claims } = (await board.claims('work', { max: 2 })).body;
    for (const [index, { run_id, token }] of claims.entries()) {
      const verb = index === 0 ? 'complete' : 'release';
      await board.server.call('POST', `/v1/runs/${run_id}/${verb}`, { body: {}, token });
    }
  }
}

describe('a backup', () => {
  test('that is taken while tasks are created, claimed and ended is of one moment: its log folds into its tables, and its counts are those of its rows', async () => {
    const { database, board } = await useBoard();
    const seqNow = async () => Number((await database.sql`SELECT seq FROM board_seq`)[0]?.['seq']);
    const stopping = new AbortController();
    const busy = Promise.all([1, 2, 3].map(() => keepBusy(board, stopping.signal)));
    const file = await useBackupFile();
    const { taken, seqAfter } = await (async () => {
      try {
        await eventually('there is something to back up', async () => (await seqNow()) > 100);
        const backup = await take(database.url, file, { bytesPerSecond: SLOW_BYTES_PER_SECOND });
        return { taken: backup, seqAfter: await seqNow() };
      } finally {
        stopping.abort();
        await busy;
      }
    })();

    const target = await useEmptyDatabase();
    const restored = await restore(target.url, file);
    expect(restored).toMatchObject({ formerDatabase: null, boards: 1 });
    const final = await look(target.url, (sql) => readFinalState(sql, 'default'));
    expect(checkLogFold(final)).toEqual([]);
    // Otherwise nothing was written while it was read, and nothing is shown.
    expect(seqAfter).toBeGreaterThan(final.seq);
    const counted = await look(target.url, async (sql) => {
      const tables = taken.manifest.tables.filter(({ name }) => name !== 'past_incarnations');
      for (const { name, rows } of tables) {
        const [row] = await sql`SELECT count(*)::int AS count FROM ${sql(name)}`;
        // The restore itself is told, too.
        expect([name, row?.['count']]).toEqual([name, name === 'audit_entries' ? rows + 1 : rows]);
      }
      return tables.length;
    });
    expect(counted).toBeGreaterThan(25);
  });

  test('has every table of the schema but codes that are good once', async () => {
    const { database } = await useBoard();
    await database.sql`CREATE TABLE somebody_elses (id int)`;
    const taken = await take(database.url, await useBackupFile());
    const rows = await database.sql<{ relname: string }[]>`
      SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace`;
    const expected = rows
      .map(({ relname }) => relname)
      .filter((name) => !/sign_in_codes|somebody/.test(name));
    expect(taken.manifest.tables.map(({ name }) => name)).toEqual(expected.sort());
    expect(taken.header.left_out).toEqual(['somebody_elses']);
  });

  test('gives back every text and number as it was', async () => {
    const { database, board } = await useBoard();
    const odd = 'a\ttab, a\nline, \\. a \\N, "quotes", \u{1f6a6}, \r and \\';
    await board.task('work', {
      title: odd.replaceAll('\n', ' '),
      body: `\\.\n${odd}`,
      payload: { odd, n: [1e-7, 0.1, null] },
    });
    const file = await useBackupFile();
    await take(database.url, file);
    const target = await useEmptyDatabase();
    await restore(target.url, file);
    const read = (url: string) =>
      look(url, async (sql) => ({
        tasks: await sql`SELECT t::text AS row FROM tasks t`,
        details: await sql`SELECT d::text AS row FROM task_details d`,
        events: await sql`SELECT e::text AS row FROM events e ORDER BY seq`,
        keys: await sql`SELECT k::text AS row FROM api_keys k`,
      }));
    expect(await read(target.url)).toEqual(await read(database.url));
    // The next board is numbered as it would have been.
    const next = async (url: string) =>
      look(
        url,
        async (sql) => (await sql`SELECT nextval(pg_get_serial_sequence('boards', 'id'))::int AS id`)[0],
      );
    expect(await next(target.url)).toEqual(await next(database.url));
  });

  test('of an older schema is restored as that, and brought up to date', async () => {
    const old = await useEmptyDatabase();
    await withMigrationsUpTo(3, MIGRATIONS, (folder) => migrateDatabase(old.url, folder));
    await look(old.url, async (sql) => {
      await sql`INSERT INTO boards (name, log_incarnation) VALUES ('old', 'aaaaaaaa')`;
      await sql`INSERT INTO board_seq (board_id) SELECT id FROM boards`;
    });
    const file = await useBackupFile();
    expect((await take(old.url, file)).header.migrations).toHaveLength(3);
    const target = await useEmptyDatabase();
    await restore(target.url, file);
    const server = await useTestServer(target.url);
    expect((await server.call('GET', '/v1/boards/old')).status).toBe(200);
  });

  test('that is interrupted, or loses its connection, leaves nothing behind', async () => {
    const { database, board } = await useBoard();
    await board.tasks('work', 100, { body: 'x'.repeat(2000) });
    const file = await useBackupFile();
    const stopping = new AbortController();
    const interrupted = take(database.url, file, {
      bytesPerSecond: 1000,
      signal: stopping.signal,
      onProgress: () => stopping.abort(),
    });
    await expect(interrupted).rejects.toThrow();
    expect(await readdir(dirname(file))).toEqual([]);

    let isCut: Promise<unknown> | undefined;
    const cut = take(database.url, file, {
      bytesPerSecond: SLOW_BYTES_PER_SECOND,
      onProgress: () => {
        isCut ??= database.sql`
          SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE application_name = 'lanekeeper backup' AND datname = current_database()`.execute();
      },
    });
    await expect(cut).rejects.toThrow();
    await isCut;
    expect(await readdir(dirname(file))).toEqual([]);
    await take(database.url, file);
    expect((await verify(file)).header.boards).toBe(1);
  });

  test('of a database that no server has used is refused', async () => {
    const empty = await useEmptyDatabase();
    await expect(take(empty.url, await useBackupFile())).rejects.toThrow(/nothing to back up/);
  });
});
