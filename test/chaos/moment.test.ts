/** Times of the database are put beside those of the history by one look at both clocks: it is a quick one, and what is read belongs to it. */
import { expect, test } from 'vitest';
import { atOneMoment } from '../../chaos/moment.ts';

const READ_AT = '2026-01-01T00:00:00.000Z';

/** A database that answers after so many milliseconds, the first time, the second, and from then on. */
function databaseAnsweringAfter(...answersMs: readonly number[]) {
  let nowMs = 0;
  let transactions = 0;
  const tx = async () => {
    nowMs += answersMs[Math.min(transactions, answersMs.length) - 1] ?? 0;
    return [{ at: new Date(READ_AT) }];
  };
  const begin = (_: string, body: (own: typeof tx) => Promise<unknown>): Promise<unknown> => {
    transactions += 1;
    return body(tx);
  };
  const read = () =>
    atOneMoment(
      { begin } as never,
      async (_, moment) => ({ ...moment, transactions }),
      () => nowMs,
    );
  return { read };
}

test('the moment lies between a look at our clock before the first statement and one after it', async () => {
  const { read } = databaseAnsweringAfter(40);
  expect(await read()).toEqual({ readAt: READ_AT, readFromMs: 0, readAtMs: 40, transactions: 1 });
});

test('after a stall between the two it is looked again, in a transaction of its own', async () => {
  const { read } = databaseAnsweringAfter(3000, 101, 99);
  expect(await read()).toEqual({ readAt: READ_AT, readFromMs: 3101, readAtMs: 3200, transactions: 3 });
});

test('where no look is quick, none counts: so wide a moment would excuse too much', async () => {
  const { read } = databaseAnsweringAfter(...Array<number>(20).fill(500), 1);
  await expect(read()).rejects.toThrow('no look at the clock of the database took less than 100 ms, of 20');
});

test('the twentieth look is one', async () => {
  const { read } = databaseAnsweringAfter(...Array<number>(19).fill(500), 1);
  expect(await read()).toMatchObject({ transactions: 20 });
});
