/** What a watch over a stream is told. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { watchByStream } from '../../chaos/workload/watch-ways.ts';

/** All that came of a watch from that place, in order, until the server ended it. */
async function watchFrom(after: string, answer: RequestListener): Promise<unknown[]> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const told: unknown[] = [];
  await watchByStream({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ board: 'default', key: 'a key', after, signal: new AbortController().signal },
    onSighting: ({ events }) => void told.push(...events.map(({ seq }) => seq)),
    onExpired: () => void told.push('expired'),
  });
  return told;
}

const refusal =
  (status: number, code: string): RequestListener =>
  (_, response) =>
    void response
      .writeHead(status, { 'Content-Type': 'application/problem+json' })
      .end(JSON.stringify({ status, code }));

test('a stream that cannot go on from its cursor is told so, and by no other refusal', async () => {
  expect(await watchFrom('cursor 1', refusal(410, 'cursor_expired'))).toEqual(['expired']);
  expect(await watchFrom('cursor 1', refusal(404, 'board_not_found'))).toEqual([]);
  expect(await watchFrom('cursor 1', refusal(503, 'database_unavailable'))).toEqual([]);
});

test('a stream goes on from the last id, and its end says nothing of the cursor', async () => {
  let lastId: string | string[] | undefined;
  const told = await watchFrom('cursor 1', (request, response) => {
    lastId = request.headers['last-event-id'];
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('retry: 500\nid: cursor 1\n\nid: cursor 2\nevent: task.created\ndata: {"seq":2}\n\n');
    response.end(': still here\n\nid: cursor 3\nevent: task.ready\ndata: {"seq":3}\n\n');
  });
  expect([lastId, told]).toEqual(['cursor 1', [2, 3]]);
});

test('what refuses without a word of its own is no expiry either', async () => {
  const told = await watchFrom('start', (_, response) => void response.writeHead(502).end('<html>'));
  expect(told).toEqual([]);
});
