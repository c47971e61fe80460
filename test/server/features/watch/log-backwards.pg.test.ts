import { describe, expect, test } from 'vitest';
import type { Event } from '../../../../src/contract/events.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const seqsOf = (events: readonly Event[]): number[] => events.map(({ seq }) => seq);

async function page(board: TestBoard, query: string): Promise<{ events: Event[]; cursor: string }> {
  return expectStatus(await board.call('GET', `/events?${query}`), 200).body;
}

/** All pages, back to where one has nothing and its cursor stands still. */
async function readBack(board: TestBoard, query: string): Promise<Event[]> {
  const found: Event[] = [];
  for (let before = 'now'; ; ) {
    const { events, cursor } = await page(board, `before=${before}&${query}`);
    if (events.length === 0 && cursor === before) return found;
    found.push(...events);
    before = cursor;
  }
}

describe('the log read back', () => {
  test('has every event once, the newest first, whatever the size of its pages', async () => {
    const [board] = await servers.board();
    await board.tasks('work', 7);
    const forward = (await page(board, 'limit=1000')).events;
    expect(forward.length).toBeGreaterThan(7);
    for (const limit of [1, 3, 1000])
      expect(await readBack(board, `limit=${limit}`)).toEqual([...forward].reverse());
  });

  test('and the log after the same cursor are all of it, without an overlap', async () => {
    const [board] = await servers.board();
    await board.tasks('work', 5);
    const { events } = await page(board, 'limit=3');
    const cursor = events.at(-1)?.cursor ?? '';
    const behind = await page(board, `before=${cursor}`);
    const ahead = await page(board, `after=${cursor}`);
    expect(seqsOf(behind.events)).toEqual([3, 2, 1]);
    expect(seqsOf(ahead.events)[0]).toBe(4);
    // Where a page that was read back ends, the way forward begins with its own oldest event.
    const newest = await page(board, 'before=now&limit=2');
    const again = await page(board, `after=${newest.cursor}`);
    expect(seqsOf(again.events)).toEqual(seqsOf(newest.events).reverse());
  });

  test('shows only what the filters let through', async () => {
    const [board] = await servers.board();
    await board.tasks('one', 3);
    const [task] = await board.tasks('two', 1);
    await board.tasks('one', 3);
    expect(await readBack(board, 'lanes=two&limit=1')).toMatchObject([{ task_id: task?.id }]);
    expect(await readBack(board, `tasks=${task?.id}&kinds=task.claimed`)).toEqual([]);
  });

  test('has an end: of what nobody has written there is nothing', async () => {
    const [board] = await servers.board();
    const { cursor } = await page(board, 'before=start');
    expect(await page(board, `before=${cursor}`)).toEqual({ events: [], cursor });
  });

  test('is refused both ways at once, as a stream, and from a cursor that nobody gave out', async () => {
    const [board] = await servers.board();
    const refused = async (query: string, headers = {}): Promise<string> =>
      (await board.call('GET', `/events?${query}`, { headers })).body.code;
    expect(await refused('before=now&after=start')).toBe('invalid_request');
    expect(await refused('before=now', { Accept: 'text/event-stream' })).toBe('invalid_request');
    expect(await refused('before=made-up')).toBe('invalid_cursor');
  });
});
