/** What one socket may be, and what is left of it when it has closed. The database is a function here. */
import { expect, test } from 'vitest';
import type { Sql } from '../../../../src/server/db/client.ts';
import type { Departure } from '../../../../src/server/features/claims/attendance/departures.ts';
import { Attendance, type Departures } from '../../../../src/server/features/claims/service.ts';
import type { WorkerPort } from '../../../../src/server/features/watch/service.ts';

interface Scene {
  readonly attendance: Attendance;
  /** Workers whose departure was told. */
  readonly departed: string[];
  /** Of those, who may be crashed at once. */
  readonly atOnce: string[];
  /** Workers of each statement of hellos. */
  readonly written: string[][];
  /** Statements, by tag. */
  readonly asked: string[];
  hello(port: WorkerPort, lane: string, worker: string): Promise<void>;
}

/** @param standing Hellos stand here before they are written. */
function scene(standing: () => Promise<void> = () => Promise.resolve()): Scene {
  const departed: string[] = [];
  const atOnce: string[] = [];
  const written: string[][] = [];
  const asked: string[] = [];
  let openedUs = 0;
  const sql = async (texts: readonly string[], ...parameters: readonly unknown[]): Promise<unknown[]> => {
    const tag = /\/\* (\S+) \*\//.exec(texts[0] ?? '')?.[1];
    if (tag !== undefined) asked.push(tag);
    if (tag !== 'presence.open_sockets') return [];
    const [lanes = [], workers = []] = parameters.filter((parameter) => Array.isArray(parameter));
    written.push(workers);
    await standing();
    return lanes.map((lane, index) => {
      openedUs += 1;
      return { lane, worker: workers[index], opened_us: openedUs };
    });
  };
  const departures = {
    leave: ({ worker, mayCrashAtOnce }: Departure) => {
      departed.push(worker);
      if (mayCrashAtOnce) atOnce.push(worker);
    },
  };
  const attendance = new Attendance({
    sql: sql as unknown as Sql,
    departures: departures as unknown as Departures,
  });
  const hello = (port: WorkerPort, lane: string, worker: string): Promise<void> =>
    attendance.onHello(port, { lane, worker, version: null, hasTokens: true, isCrashOnDisconnect: false });
  return { attendance, departed, atOnce, written, asked, hello };
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

/** A statement of hellos that stands until it is let go. */
function gate(): {
  readonly pass: () => void;
  readonly standing: () => Promise<void>;
  readonly stood: Promise<void>;
} {
  let pass: () => void = () => undefined;
  let arrive: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  const stood = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const standing = (): Promise<void> => {
    arrive();
    return passed;
  };
  return { pass, standing, stood };
}

test('a hello whose socket has closed while it waited is not written', async () => {
  const { pass, standing, stood } = gate();
  const { attendance, departed, atOnce, written, hello } = scene(standing);
  const [gone, here] = [portOf('gone'), portOf('here')];
  const first = hello(portOf('other'), 'work', 'zed');
  await stood;
  const waiting = [hello(gone, 'work', 'ann'), hello(here, 'work', 'bob'), hello(gone, 'work', 'eve')];
  attendance.onClose(gone, 'lost');
  pass();
  await Promise.all([first, ...waiting]);
  expect(written).toEqual([['zed'], ['bob']]);
  // Should it have been them before, the row says so, and is written.
  expect(departed).toEqual(['ann', 'eve']);
  expect(atOnce).toEqual([]);
});

test('of a batch whose sockets have all closed nothing is written, and the next hello is', async () => {
  const { pass, standing, stood } = gate();
  const { attendance, written, hello } = scene(standing);
  const gone = portOf('gone');
  const first = hello(portOf('other'), 'work', 'zed');
  await stood;
  const waiting = hello(gone, 'work', 'ann');
  attendance.onClose(gone, 'lost');
  pass();
  await Promise.all([first, waiting]);
  await hello(portOf('new'), 'work', 'ann');
  expect(written).toEqual([['zed'], ['ann']]);
});

test('who leaves while its hello is being written is not crashed at once: nobody knows whom it was written over', async () => {
  const { pass, standing, stood } = gate();
  const { attendance, departed, atOnce, hello } = scene(standing);
  const gone = portOf('gone');
  const writing = hello(gone, 'work', 'ann');
  await stood;
  attendance.onClose(gone, 'lost');
  pass();
  await writing;
  // Before and after it was written: the second finds what the first could not.
  expect(departed).toEqual(['ann', 'ann']);
  expect(atOnce).toEqual([]);
  const answered = portOf('answered');
  await hello(answered, 'work', 'bob');
  attendance.onClose(answered, 'lost');
  expect(atOnce).toEqual(['bob']);
});
