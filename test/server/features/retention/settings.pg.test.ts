/** What a board keeps is said where its other settings are, changed one by one, and by admins alone. */
import { expect, test } from 'vitest';
import { uniqueName, useBench } from '../../../fixtures/bench.ts';

const bench = useBench();

const KEEP_ALL = {
  events_seconds: null,
  finished_tasks_seconds: null,
  runs_seconds: null,
  output_seconds: null,
  deliveries_seconds: null,
  messages_seconds: null,
};

async function newBoard(retention?: unknown): Promise<string> {
  const path = `/v1/boards/${uniqueName('kept')}`;
  await bench.api.put(path, retention === undefined ? {} : { settings: { retention } });
  return path;
}

async function retentionOf(path: string): Promise<unknown> {
  return (await bench.api.get(path)).body.board.settings.retention;
}

async function dueKinds(path: string): Promise<unknown[]> {
  const rows = await bench.database.sql`
    SELECT r.kind, r.kept_seconds FROM retention r JOIN boards b ON b.id = r.board_id WHERE '/v1/boards/' || b.name = ${path} ORDER BY r.kind`;
  return rows.map(({ kind, kept_seconds: seconds }) => [kind, seconds]);
}

const patch = (path: string, retention: unknown) => bench.api.patch(path, { settings: { retention } });

test('everything is kept for ever until somebody says otherwise', async () => {
  const path = await newBoard();
  expect(await retentionOf(path)).toEqual(KEEP_ALL);
  expect(await dueKinds(path)).toEqual([]);
});

test('what a change leaves out keeps its value, and null is for ever', async () => {
  const path = await newBoard({ events_seconds: 86_400 });
  await patch(path, { runs_seconds: 3600 });
  expect(await retentionOf(path)).toEqual({ ...KEEP_ALL, events_seconds: 86_400, runs_seconds: 3600 });
  expect(await dueKinds(path)).toEqual([
    ['events', 86_400],
    ['runs', 3600],
  ]);
  await patch(path, { events_seconds: null });
  expect(await retentionOf(path)).toEqual({ ...KEEP_ALL, runs_seconds: 3600 });
  // In a PUT null means absent.
  await bench.api.put(path, { settings: { retention: { runs_seconds: null } } });
  expect(await dueKinds(path)).toEqual([['runs', 3600]]);
  await patch(path, null);
  expect(await retentionOf(path)).toEqual(KEEP_ALL);
  expect(await dueKinds(path)).toEqual([]);
});

test('settings as a whole go back to keeping everything, and other settings leave it alone', async () => {
  const path = await newBoard({ messages_seconds: 60 });
  await bench.api.patch(path, { settings: { paused: true } });
  expect(await retentionOf(path)).toEqual({ ...KEEP_ALL, messages_seconds: 60 });
  await bench.api.patch(path, { settings: null });
  expect(await retentionOf(path)).toEqual(KEEP_ALL);
  expect(await dueKinds(path)).toEqual([]);
});

test('what makes no sense is refused, and changes nothing', async () => {
  const path = await newBoard({ events_seconds: 60 });
  const refused = [0, -1, 1.5, 10 * 366 * 86_400 + 1, '60', {}];
  for (const seconds of refused) {
    const answer = await patch(path, { events_seconds: seconds });
    expect([answer.status, answer.code]).toEqual([400, 'invalid_request']);
  }
  expect((await patch(path, { comments_seconds: 60 })).code).toBe('invalid_request');
  expect(await retentionOf(path)).toEqual({ ...KEEP_ALL, events_seconds: 60 });
});

test('nobody but an admin of the board says how long it keeps anything', async () => {
  const path = await newBoard();
  const board = path.slice('/v1/boards/'.length);
  for (const role of ['orchestrator', 'observer']) {
    const { secret } = await bench.makeKey({ role, boards: [board] });
    const answer = await bench.as(secret).patch(path, { settings: { retention: { events_seconds: 1 } } });
    expect([answer.status, answer.code]).toEqual([403, 'forbidden']);
  }
  expect(await retentionOf(path)).toEqual(KEEP_ALL);
});

test('settings for which null says something are cleared by it', async () => {
  const path = await newBoard();
  await bench.api.patch(path, { settings: { synthesizer_lane: 'writer', default_owner: 'gateway' } });
  await bench.api.patch(path, { settings: { synthesizer_lane: null } });
  expect((await bench.api.get(path)).body.board.settings).toMatchObject({
    synthesizer_lane: null,
    default_owner: 'gateway',
  });
});

test('a board that is deleted has nothing to be pruned any more', async () => {
  const path = await newBoard({ events_seconds: 60, runs_seconds: 60 });
  const { sql } = bench.database;
  const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE '/v1/boards/' || name = ${path}`;
  const due = () => sql`SELECT FROM retention WHERE board_id = ${row?.id ?? 0}`;
  expect(await due()).toHaveLength(2);
  await bench.api.delete(path);
  expect(await due()).toHaveLength(0);
});
