/** What one socket may be, and what is left of it when it has closed. The database is a function here. */
import { expect, test } from 'vitest';
import type { Sql } from '../../../../src/server/db/client.ts';
import { Attendance, type Departures } from '../../../../src/server/features/claims/service.ts';
import type { WorkerPort } from '../../../../src/server/features/watch/service.ts';

interface Scene {
  readonly attendance: Attendance;
  /** Workers whose departure was told. */
  readonly departed: string[];
  /** Statements, by tag. */
  readonly asked: string[];
  hello(port: WorkerPort, lane: string, worker: string): Promise<void>;
}

function scene(): Scene {
  const departed: string[] = [];
  const asked: string[] = [];
  let openedUs = 0;
  const sql = (texts: readonly string[], ...parameters: readonly unknown[]): Promise<unknown[]> => {
    const tag = /\/\* (\S+) \*\//.exec(texts[0] ?? '')?.[1];
    if (tag !== undefined) asked.push(tag);
    if (tag !== 'presence.open_sockets') return Promise.resolve([]);
    const [lanes = [], workers = []] = parameters.filter((parameter) => Array.isArray(parameter));
    return Promise.resolve(
      lanes.map((lane, index) => {
        openedUs += 1;
        return { lane, worker: workers[index], opened_us: openedUs };
      }),
    );
  };
  const departures = { leave: ({ worker }: { worker: string }) => departed.push(worker) };
  const attendance = new Attendance({
    sql: sql as unknown as Sql,
    departures: departures as unknown as Departures,
  });
  const hello = (port: WorkerPort, lane: string, worker: string): Promise<void> =>
    attendance.onHello(port, { lane, worker, version: null, hasTokens: true, isCrashOnDisconnect: false });
  return { attendance, departed, asked, hello };
}

const portOf = (socketId: string): WorkerPort =>
  ({
    socketId,
    board: { id: 1, name: 'b', incarnation: 'i' },
    end: () => undefined,
  }) as unknown as WorkerPort;

/** As the server allows of one lane. */
const NAMES_MAX = 20;

test('a socket is only so many workers of a lane; of all that it was the departure is told, and nothing is asked about them then', async () => {
  const { attendance, departed, asked, hello } = scene();
  const port = portOf('one');
  const names = Array.from({ length: NAMES_MAX }, (_, index) => `w${index}`);
  for (const worker of names) await hello(port, 'work', worker);
  await expect(hello(port, 'work', 'another')).rejects.toMatchObject({ code: 'rate_limited' });
  // Whom it was it may be again, and another lane counts by itself.
  await hello(port, 'work', 'w3');
  await hello(port, 'other', 'another');
  attendance.onClose(port, 'lost');
  expect(departed.sort()).toEqual([...names, 'another'].sort());
  asked.splice(0);
  await attendance.sweep();
  expect(asked).toEqual([]);
});

test('everybody here is asked about by name, a bounded number at a time', async () => {
  const { attendance, asked, hello } = scene();
  const ports = Array.from({ length: 1500 }, (_, index) => portOf(String(index)));
  await Promise.all(ports.map((port, index) => hello(port, 'work', `w${index}`)));
  asked.splice(0);
  await attendance.sweep();
  expect(asked.filter((tag) => tag === 'presence.newer_sockets')).toHaveLength(2);
  asked.splice(0);
  await attendance.sweep();
  expect(asked).toContain('presence.newest_sockets');
});
