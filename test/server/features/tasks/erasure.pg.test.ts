/** How fast what a long life has left is erased, and in which order its rows are locked. */
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { missOpenMessages } from '../../../../src/server/features/tasks/store/message.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { expectStatus, makeBoard } from '../../../fixtures/board.ts';
import { useTestDatabase } from '../../../fixtures/database.ts';
import { untilStanding } from '../../../fixtures/held-lock.ts';
import { startTestServer } from '../../../fixtures/server.ts';

const HISTORY_ROWS = 3000;

test('after a portion that was too slow the next ones are small, and grow again', async () => {
  const { sql, url } = await useTestDatabase();
  const server = await startTestServer(url);
  onTestFinished(() => server.stop());
  const board = await makeBoard(server);
  const task = await board.task('work');
  await sql`
    WITH bumped AS (UPDATE board_seq SET seq = seq + ${HISTORY_ROWS} RETURNING board_id, seq)
    INSERT INTO events (board_id, seq, kind, at, task_id, actor_type, actor_id, data)
    SELECT t.board_id, bumped.seq - ${HISTORY_ROWS} + number, 'task.commented', now(), t.id, 'system', 'test', '{"body": "words"}'
    FROM bumped JOIN tasks t USING (board_id), generate_series(1, ${HISTORY_ROWS}::int) AS number`;
  // The first events are slow: a portion of more than ten rows that begins with them takes too long.
  await sql.unsafe(`
    CREATE FUNCTION too_slow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE rows int := coalesce(nullif(current_setting('test.rows', true), ''), '0')::int + 1;
    BEGIN
      PERFORM set_config('test.rows', rows::text, true);
      IF rows > 10 AND NEW.seq < 20 THEN
        RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER too_slow BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION too_slow();`);
  expectStatus(await board.call('DELETE', `/tasks/${task.id}`), 204);
  const [portions] = await sql`
    SELECT count(DISTINCT xmin::text)::int AS count FROM events WHERE kind = 'task.commented' AND data = '{}'`;
  // 7, 14, 28 and so on up to 500; at 7 a time it would be more than 400.
  expect(portions?.['count']).toBeGreaterThan(7);
  expect(portions?.['count']).toBeLessThan(20);
  await auditBoard(sql, board.name);
});

test('open messages of several tasks are missed in the order in which others tell them', async () => {
  const { sql, url } = await useTestDatabase();
  const client = openDatabase({ url });
  onTestFinished(() => client.close());
  const [one, two] = ['10000000-0000-7000-8000-000000000001', '20000000-0000-7000-8000-000000000002'];
  // The newer message is of the older task.
  await sql`
    INSERT INTO messages (board_id, task_id, id, text, author_type, author_id)
    SELECT 1, task_id, id, 'hello', 'key', 'k'
    FROM unnest(${[one, two]}::uuid[], ${[two, one]}::uuid[]) AS message (task_id, id)`;
  const missing = await sql.begin(async (tx) => {
    await tx`SELECT FROM messages WHERE task_id = ${one} FOR UPDATE`;
    const missed = client.cold.begin((own) => missOpenMessages(own, 1, [two as Uuid, one as Uuid]));
    await untilStanding(sql, 'tasks.miss_open_messages', 'row');
    await tx`SELECT FROM messages WHERE task_id = ${two} FOR UPDATE NOWAIT`;
    return { missed };
  });
  await missing.missed;
  expect([...(await sql`SELECT FROM messages WHERE missed_at IS NULL`)]).toEqual([]);
});
