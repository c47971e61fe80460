/** A board that prunes begins to when somebody has its beginning: else its first events are gone unseen, and nothing could be asked of its tasks. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ShortMemory } from '../../chaos/short-memory.ts';

interface Asked {
  readonly request: string;
  readonly body: unknown;
}

/** A server that does all that it is asked for. */
async function startServer(): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    asked.push({ request: `${request.method} ${request.url}`, body: JSON.parse(text) });
    response.setHeader('Content-Type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** With watchers that are as far as this says after each look at them. */
function openMemory(seqsOf: (look: number) => readonly number[]) {
  const directory = mkdtempSync(join(tmpdir(), 'short-memory-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  let started = 0;
  const startParty = () => {
    const place = started;
    started += 1;
    let looks = 0;
    return {
      order: (): void => {
        looks += 1;
      },
      get seq(): number {
        return seqsOf(looks)[place] ?? 0;
      },
    };
  };
  const programs = { churn: 'churn', 'resuming-watcher': 'resuming-watcher' };
  return new ShortMemory({} as never, { directory } as never, programs, startParty as never);
}

test('a board begins to prune once all who watch it are beyond its first event', async () => {
  const { url, asked } = await startServer();
  let isFollowed = false;
  const memory = openMemory((look) => {
    isFollowed = look >= 3;
    return isFollowed ? [9, 2, 5] : [9, 1, 5];
  });
  await memory.beginPruning(url, 'a key');
  expect(isFollowed).toBe(true);
  expect(asked).toMatchObject([
    { request: 'PUT /v1/boards/short-memory', body: { settings: { retention: { events_seconds: 5 } } } },
  ]);
});

test('a run does not begin on a board that nobody follows', async () => {
  const { url, asked } = await startServer();
  const memory = openMemory(() => [9, 1, 5]);
  await expect(memory.beginPruning(url, 'a key', 1)).rejects.toThrow('nobody followed');
  expect(asked).toEqual([]);
});
