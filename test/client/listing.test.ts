import { expect, test } from 'vitest';
import { connect } from '../../src/client/client.ts';
import { type ScriptedAnswer, scriptedFetch } from './fixtures/scripted-fetch.ts';

const client = (respond: Parameters<typeof scriptedFetch>[0]) => {
  const { fetch, requests } = scriptedFetch(respond);
  return {
    client: connect({ url: 'http://sdk.test', fetch }),
    paths: () => requests.map(({ path }) => path),
  };
};

/** Two rows a page, three pages. */
function pageOf(path: string): ScriptedAnswer {
  const page = Number(new URL(path, 'http://x').searchParams.get('page_token') ?? '0');
  const next = page === 2 ? null : String(page + 1);
  return { json: { tasks: [page * 2, page * 2 + 1], next_page_token: next } };
}

test('a list is its first page when it is awaited, and asks for no other', async () => {
  const { client: sdk, paths } = client(({ path }) => pageOf(path));
  expect((await sdk.tasks.list({ limit: 2 })).tasks).toEqual([0, 1]);
  expect(paths()).toEqual(['/v1/boards/default/tasks?limit=2']);
});

test('a list gives every row of every page when it is iterated, the filters going along', async () => {
  const { client: sdk, paths } = client(({ path }) => pageOf(path));
  const rows: unknown[] = [];
  for await (const task of sdk.tasks.list({ status: ['ready'] })) rows.push(task);
  expect(rows).toEqual([0, 1, 2, 3, 4, 5]);
  expect(paths().map((path) => path.replace(/^.*\?/, ''))).toEqual([
    'status=ready',
    'status=ready&page_token=1',
    'status=ready&page_token=2',
  ]);
});

test('a list asks for no page beyond the row where its reader stops', async () => {
  const { client: sdk, paths } = client(({ path }) => pageOf(path));
  for await (const task of sdk.tasks.list()) if (String(task) === '2') break;
  expect(paths()).toHaveLength(2);
});

test('a failed page ends the iteration with its error', async () => {
  const { client: sdk } = client(({ path }, count) =>
    count === 1
      ? pageOf(path)
      : { status: 400, json: { code: 'invalid_cursor', status: 400, title: 't', detail: 'd' } },
  );
  const rows: unknown[] = [];
  const reading = (async () => {
    for await (const task of sdk.tasks.list()) rows.push(task);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'invalid_cursor' });
  expect(rows).toEqual([0, 1]);
});

test('the log is read to its end, past pages that a filter left empty', async () => {
  const pages: Record<string, object> = {
    start: { events: ['a'], cursor: 'c1' },
    c1: { events: [], cursor: 'c2' },
    c2: { events: ['b'], cursor: 'c3' },
    c3: { events: [], cursor: 'c3' },
  };
  const { client: sdk, paths } = client(({ path }) => ({
    json: pages[new URL(path, 'http://x').searchParams.get('after') ?? 'start'],
  }));
  const events: unknown[] = [];
  for await (const event of sdk.events.list({ kinds: 'task.*' })) events.push(event);
  expect(events).toEqual(['a', 'b']);
  expect(paths()).toHaveLength(4);
});

test('the events of a task end with the first page that has none, though the log grows on', async () => {
  const { client: sdk, paths } = client((_, count) => ({
    json: { events: count === 1 ? ['a'] : [], cursor: `c${count}` },
  }));
  const events: unknown[] = [];
  for await (const event of sdk.tasks.events('t')) events.push(event);
  expect(events).toEqual(['a']);
  expect(paths()).toHaveLength(2);
});

test('the log is read back to its beginning when it is asked for before a cursor', async () => {
  const { client: sdk, paths } = client((_, count) => ({
    json: { events: count === 3 ? [] : [`e${count}`], cursor: count === 1 ? 'c1' : 'c2' },
  }));
  const events: unknown[] = [];
  for await (const event of sdk.events.list({ before: 'now', limit: 1 })) events.push(event);
  expect(events).toEqual(['e1', 'e2']);
  expect(paths().map((path) => path.replace(/^.*\?/, ''))).toEqual([
    'before=now&limit=1',
    'before=c1&limit=1',
    'before=c2&limit=1',
  ]);
});
