import { expect, test } from 'vitest';
import { Inbox } from '../../../src/client/worker/inbox.ts';

function openInbox() {
  const acknowledged: string[][] = [];
  const troubles: unknown[] = [];
  const inbox = new Inbox(
    (ids) => acknowledged.push([...ids]),
    (error) => troubles.push(error),
  );
  const add = (...ids: string[]) => inbox.add(ids.map((id) => ({ id, text: `text of ${id}`, at: 'now' })));
  return { inbox, add, acknowledged, troubles };
}

const microtasks = () => new Promise((resolve) => setImmediate(resolve));

test('a message is acknowledged when it is taken, and not before', async () => {
  const { inbox, add, acknowledged } = openInbox();
  add('a', 'b');
  await microtasks();
  expect(acknowledged).toEqual([]);
  const reader = inbox[Symbol.asyncIterator]();
  expect(await reader.next()).toMatchObject({ value: { id: 'a' } });
  await microtasks();
  expect(acknowledged).toEqual([['a']]);
});

test('a message that heartbeats repeat is told once, and acknowledged again when its acknowledgement was lost', async () => {
  const { inbox, add, acknowledged } = openInbox();
  const told: string[] = [];
  inbox.listen(({ id }) => told.push(id));
  add('a');
  await microtasks();
  add('a', 'b');
  await microtasks();
  expect(told).toEqual(['a', 'b']);
  expect(acknowledged).toEqual([['a'], ['a', 'b']]);
});

test('each of several readers gets messages of its own, and a listener what nobody waits for', async () => {
  const { inbox, add } = openInbox();
  const [first, second] = [inbox[Symbol.asyncIterator](), inbox[Symbol.asyncIterator]()];
  const results = [first.next(), second.next()];
  const told: string[] = [];
  const stop = inbox.listen(({ id }) => told.push(id));
  add('a', 'b', 'c');
  expect(await Promise.all(results)).toMatchObject([{ value: { id: 'a' } }, { value: { id: 'b' } }]);
  stop();
  add('d');
  expect(told).toEqual(['c']);
  expect(await first.next()).toMatchObject({ value: { id: 'd' } });
});

test('a listener that fails keeps nobody else from hearing', () => {
  const { inbox, add, troubles } = openInbox();
  const told: string[] = [];
  inbox.listen(() => {
    throw new Error('deaf');
  });
  inbox.listen(({ id }) => told.push(id));
  add('a', 'b');
  expect([told, troubles.length]).toEqual([['a', 'b'], 2]);
});

test('when it is closed its readers end, and what comes then is left to the next attempt', async () => {
  const { inbox, add, acknowledged } = openInbox();
  const reader = inbox[Symbol.asyncIterator]();
  const waiting = reader.next();
  inbox.close();
  expect(await waiting).toEqual({ done: true, value: undefined });
  add('late');
  inbox.listen(() => undefined);
  expect(await reader.next()).toMatchObject({ done: true });
  await microtasks();
  expect(acknowledged).toEqual([]);
});

test('a reader that has left takes no message any more, and does not wait for one', async () => {
  const { inbox, add } = openInbox();
  const [gone, there] = [inbox[Symbol.asyncIterator](), inbox[Symbol.asyncIterator]()];
  const left = gone.next();
  const taken = there.next();
  await gone.return?.();
  expect(await left).toMatchObject({ done: true });
  add('a');
  expect(await taken).toMatchObject({ value: { id: 'a' } });
});
