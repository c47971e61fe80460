/** What a transaction does past its caller's patience, and how long a statement of the claim path may run. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase, type Tx } from '../../../src/server/db/client.ts';
import {
  impatientTransaction,
  retriedStatement,
  transaction,
  withinDeadline,
} from '../../../src/server/db/tx.ts';
import { useTestDatabase } from '../../fixtures/database.ts';

/** The patience of a caller of the database. */
const DEADLINE_MS = 8000;

test('what comes after the deadline is handed over once, what comes in time is not', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const late: number[] = [];
  const onLate = (value: number): void => void late.push(value);
  await expect(withinDeadline(Promise.resolve(1), onLate)).resolves.toBe(1);
  let bring: (value: number) => void = () => undefined;
  const slow = new Promise<number>((resolve) => {
    bring = resolve;
  });
  const answer = withinDeadline(slow, onLate);
  const refused = expect(answer).rejects.toMatchObject({ code: 'DATABASE_DEADLINE' });
  await vi.advanceTimersByTimeAsync(DEADLINE_MS);
  await refused;
  expect(late).toEqual([]);
  bring(2);
  await slow;
  await vi.advanceTimersByTimeAsync(0);
  expect(late).toEqual([2]);
});

test('a statement of the claim path is ended before its caller gives up', async () => {
  const { url } = await useTestDatabase();
  const database = openDatabase({ url });
  onTestFinished(() => database.close());
  const [row] = await database.hot<
    { ms: string }[]
  >`SELECT setting AS ms FROM pg_settings WHERE name = 'statement_timeout'`;
  expect(Number(row?.ms)).toBeLessThan(DEADLINE_MS);
});

test('a statement in conflict is tried again a few times, and no other failure is', async () => {
  const failing = (code: string) =>
    vi.fn<() => Promise<never>>().mockRejectedValue(Object.assign(new Error(code), { code }));
  const [deadlock, broken] = [failing('40P01'), failing('22012')];
  await expect(retriedStatement(deadlock)).rejects.toThrow('40P01');
  await expect(retriedStatement(broken)).rejects.toThrow('22012');
  expect([deadlock.mock.calls.length, broken.mock.calls.length]).toEqual([5, 1]);
});

test('a transaction of a sweep waits for a lock once and not for long, and any other is tried again', async () => {
  const { url, sql } = await useTestDatabase();
  const database = openDatabase({ url });
  onTestFinished(() => database.close());
  await sql`INSERT INTO pulse (id, beat_at) VALUES (1, now())`;
  const patience = `SELECT setting FROM pg_settings WHERE name = 'lock_timeout'`;
  await sql.begin(async (held) => {
    await held`SELECT FROM pulse FOR UPDATE`;
    const work = vi.fn<(tx: Tx) => Promise<unknown>>((tx) => tx`SELECT FROM pulse FOR UPDATE`);
    await expect(impatientTransaction(database.sweeps, 50, work)).rejects.toMatchObject({ code: '55P03' });
    expect(work).toHaveBeenCalledTimes(1);
    const short = vi.fn(async (tx: Tx) => {
      await tx`SET LOCAL lock_timeout = '50ms'`;
      await work(tx);
    });
    await expect(transaction(database.sweeps, short)).rejects.toMatchObject({ code: '55P03' });
    expect(short).toHaveBeenCalledTimes(5);
  });
  const deadlocked = vi
    .fn<() => Promise<never>>()
    .mockRejectedValue(Object.assign(new Error(), { code: '40P01' }));
  await expect(impatientTransaction(database.sweeps, 50, deadlocked)).rejects.toMatchObject({
    code: '40P01',
  });
  expect(deadlocked).toHaveBeenCalledTimes(5);
  // What comes next on the connection has the patience of all.
  expect(await database.sweeps.unsafe(patience)).toMatchObject([{ setting: '1000' }]);
});
