/** What a board prunes it prunes openly: a good day passes, random ones do, and each falsification of a day is found. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRetention } from '../../chaos/checkers/retention.ts';
import type { HistoryEntry } from '../../chaos/history.ts';
import { BOARD, PrunedBoard, type PrunedDay } from './pruned-board.ts';
import { detailsOf, remove } from './recorded-day.ts';
import type { Writable } from './small-board-words.ts';

const [STEADY, PAUSING] = ['steady-watcher.1', 'pausing-watcher.1'];

interface Names {
  /** Done, and needed by the child, which waits for the other one. */
  readonly parent: string;
  readonly open: string;
  readonly child: string;
  readonly pruned: string;
  readonly left: string;
}

function recordPruning(): PrunedDay & { readonly names: Names } {
  const board = new PrunedBoard();
  const [parent, open] = [board.create(), board.create('triage')];
  const child = board.create('ready', [parent, open]);
  board.complete(parent);
  const pruned = board.create();
  board.complete(pruned);
  board.resume(STEADY);
  board.resume(PAUSING, 4);
  board.pass(4000);
  board.prune();
  board.complete(board.create());
  board.resume(STEADY);
  board.pass(4000);
  board.prune();
  // Its next event is gone. It begins where the log does, with one event, and goes on from there.
  board.resume(PAUSING);
  board.resume(PAUSING, 1);
  board.resume(PAUSING);
  board.resume(STEADY);
  const left = board.create();
  board.complete(left);
  board.pass(1000);
  board.prune();
  return { ...board.end(), names: { parent, open, child, pruned, left } };
}

type PruningDay = ReturnType<typeof recordPruning>;
type EntryOf<K extends HistoryEntry['entry']> = Writable<Extract<HistoryEntry, { readonly entry: K }>>;

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the day has it');
  return value;
}

function entriesOf<K extends HistoryEntry['entry']>(day: PrunedDay, kind: K, process: string): EntryOf<K>[] {
  return day.entries.filter(
    (entry): entry is EntryOf<K> => entry.entry === kind && 'process' in entry && entry.process === process,
  );
}

const nth = <K extends HistoryEntry['entry']>(day: PrunedDay, kind: K, process: string, place: number) =>
  present(entriesOf(day, kind, process).at(place));

/** As every watcher has it. */
function eventsOf(day: PrunedDay, kind: string, taskId: string) {
  const received = day.entries.flatMap((entry) => (entry.entry === 'received' ? [entry.event] : []));
  const found = [...received, ...day.final.events].filter(
    (event) => event.kind === kind && event.task_id === taskId,
  );
  if (found.length === 0) throw new Error('the day has it');
  return found;
}

const rowOf = (day: PrunedDay, id: string) => present(day.final.tasks.find((row) => row.id === id));

/** As if the tables had never had it. */
function dropRow(day: PrunedDay, id: string): void {
  const row = rowOf(day, id);
  remove(day.final.tasks, row);
  day.final.counts[row.status] = (day.final.counts[row.status] ?? 0) - 1;
}

/** Somebody who asks for what follows an event of the steady watcher, by default at the end of the day, and is told this. */
function askAgain(
  day: PrunedDay,
  place: number,
  told: 'expired' | 'received',
  at = day.final.readAtMs,
): void {
  const [before, next] = entriesOf(day, 'received', STEADY).slice(place);
  const common = { process: 'late-watcher.1', at, connection: 1 };
  const after = present(before).event.cursor;
  day.entries.push({ entry: 'resume', ...common, from: 'cursor', after });
  if (told === 'expired') day.entries.push({ entry: 'expired', ...common });
  else day.entries.push({ entry: 'received', ...common, event: present(next).event });
}

type Falsification = readonly [what: string, detail: string, change: (day: PruningDay) => void];

const OF_WATCHES: readonly Falsification[] = [
  [
    'an event that was left out',
    'events are missing, and nobody was told so',
    (day) => remove(day.entries, nth(day, 'received', STEADY, 4)),
  ],
  [
    'a gap that nobody told of',
    'events are missing, and nobody was told so',
    (day) => {
      const resumptions = entriesOf(day, 'resume', PAUSING);
      remove(day.entries, nth(day, 'expired', PAUSING, 0));
      Object.assign(present(resumptions[2]), { from: 'cursor', after: present(resumptions[1]).after });
    },
  ],
  [
    'an event that came again',
    'an event came again or out of order',
    (day) => {
      const entry = nth(day, 'received', STEADY, 4);
      day.entries.splice(day.entries.indexOf(entry), 0, structuredClone(entry));
    },
  ],
  [
    'an event that came again after a reconnect',
    'an event came again or out of order',
    (day) => {
      const place = day.entries.indexOf(nth(day, 'resume', STEADY, 1));
      day.entries.splice(place + 1, 0, structuredClone(nth(day, 'received', STEADY, 2)));
    },
  ],
  [
    'a cursor of a later event',
    'a cursor is not that of the last event which came with it',
    (day) => {
      nth(day, 'resume', STEADY, 1).after = nth(day, 'received', STEADY, -1).event.cursor;
    },
  ],
  [
    'two events of one number',
    'one number was given to two events',
    (day) => {
      nth(day, 'received', PAUSING, 3).event.kind = 'task.stranded';
    },
  ],
  [
    'a watcher that did not get to the end',
    'a watcher did not get to the end of the log',
    (day) => remove(day.entries, nth(day, 'received', STEADY, -1)),
  ],
];

const OF_THE_EDGE: readonly Falsification[] = [
  [
    'a cursor that expired although what follows it is there',
    'what was told to be gone was there later',
    (day) => askAgain(day, -2, 'expired', 0),
  ],
  [
    'a cursor that expired before its time',
    'an event was gone before its time',
    (day) => askAgain(day, -3, 'expired'),
  ],
  [
    'a cursor that expired at the end of the log',
    'an event was told to be gone that had never been',
    (day) => askAgain(day, -1, 'expired', 0),
  ],
  [
    'an event that came back',
    'what was told to be gone was there later',
    (day) => askAgain(day, 0, 'received'),
  ],
  [
    'an event too many that was pruned',
    'the log is not dense from its edge to its end',
    (day) => day.final.events.shift(),
  ],
  [
    'a hole in what is left',
    'the log is not dense from its edge to its end',
    (day) => day.final.events.splice(1, 1),
  ],
  [
    'a mark that was not moved',
    'the log is not dense from its edge to its end',
    (day) => {
      day.final.prunedSeq -= 1;
    },
  ],
];

const OF_TASKS: readonly Falsification[] = [
  [
    'a task that was pruned while it ran',
    'a task was pruned that was not finished',
    (day) => {
      for (const event of eventsOf(day, 'task.deleted', day.names.pruned))
        event.data['status_before'] = 'running';
    },
  ],
  [
    'a task that was pruned before its time',
    'a task was pruned before its time',
    (day) => {
      const [done] = eventsOf(day, 'task.completed', day.names.pruned);
      for (const event of eventsOf(day, 'task.deleted', day.names.pruned))
        event.at = new Date(Date.parse(present(done).at) + 2900).toISOString();
    },
  ],
  [
    'a parent that was pruned under its child',
    'a task was pruned that a waiting child needs',
    (day) => {
      for (const event of eventsOf(day, 'task.deleted', day.names.pruned)) event.task_id = day.names.parent;
    },
  ],
  [
    'a parent that is gone from under its child',
    'a child that is not done has lost a parent',
    (day) => dropRow(day, day.names.parent),
  ],
  [
    'a task that somebody deleted',
    'a task was deleted, and nobody deletes any',
    (day) => {
      for (const event of eventsOf(day, 'task.deleted', day.names.pruned))
        event.data = { status_before: 'done' };
    },
  ],
  [
    'a task that went on after it was pruned',
    'a task was pruned and went on',
    (day) => {
      for (const event of eventsOf(day, 'task.claimed', day.names.left)) event.task_id = day.names.pruned;
    },
  ],
  [
    'a task that is gone although nobody finished it',
    'an acknowledged task is gone that nobody finished',
    (day) => dropRow(day, day.names.open),
  ],
  [
    'a task that is gone, with nothing about it in the log',
    'a task is gone, and the log does not say so',
    (day) => dropRow(day, day.names.left),
  ],
  [
    'a task that was pruned and is there',
    'a task that was pruned is there',
    (day) => {
      day.final.tasks.push({ ...rowOf(day, day.names.left), id: day.names.pruned });
    },
  ],
  [
    'a task that nobody made',
    'a task is not in the log',
    (day) => {
      day.final.tasks.push({ ...rowOf(day, day.names.left), id: 'task_99' });
    },
  ],
  [
    'a task that moved on unseen',
    'a task is not what the log says',
    (day) => {
      rowOf(day, day.names.left).version += 1;
    },
  ],
  [
    'an end that the log skipped',
    'an event does not start where its task was',
    (day) => {
      for (const event of eventsOf(day, 'task.completed', day.names.left))
        event.data['status_before'] = 'blocked';
    },
  ],
];

const check = ({ entries, final }: PrunedDay) => checkRetention(entries, final);

describe('what a board prunes it prunes openly', () => {
  it('holds on a good day, on which a watcher was told and a parent was kept', () => {
    const day = recordPruning();
    expect(check(day)).toEqual([]);
    expect(entriesOf(day, 'expired', PAUSING)).toHaveLength(1);
    expect(day.final.tasks.map(({ id }) => id)).toContain(day.names.parent);
    expect(day.final.tasks.map(({ id }) => id)).not.toContain(day.names.pruned);
  });

  it.each([...OF_WATCHES, ...OF_THE_EDGE, ...OF_TASKS])('finds %s', (_, detail, change) => {
    const day = recordPruning();
    change(day);
    const found = check(day);
    expect(detailsOf(found)).toContain(detail);
    expect(found.every(({ property }) => property === 12 || property === 6)).toBe(true);
  });

  it('finds counts that are not exact, and says on which board', () => {
    const day = recordPruning();
    day.final.counts.done = (day.final.counts.done ?? 0) + 1;
    const evidence = { board: BOARD, status: 'done' };
    expect(check(day)).toMatchObject([{ property: 6, detail: 'a count is not exact', evidence }]);
  });

  it('asks nothing of what nobody received before it was pruned', () => {
    const board = new PrunedBoard();
    board.resume(STEADY);
    const [finished, open] = [board.create(), board.create('triage')];
    board.resume(STEADY);
    board.complete(finished);
    board.pass(6000);
    board.prune();
    board.pass(6000);
    board.prune();
    board.finish(open);
    const day = board.end();
    expect(check(day)).toEqual([]);
    expect(entriesOf(day, 'expired', STEADY)).toHaveLength(1);
  });
});

const COMMANDS = ['create', 'family', 'complete', 'finish', 'pass', 'prune', 'steady', 'pausing'] as const;
const COMMAND = fc.record({ action: fc.constantFrom(...COMMANDS), pick: fc.nat(7) });

function act(board: PrunedBoard, action: (typeof COMMANDS)[number], pick: number): void {
  const ids = (status: string): string[] =>
    [...board.tasks.values()].filter((task) => task.status === status).map(({ id }) => id);
  const chosen = (list: readonly string[]): string | undefined => list[pick % list.length];
  const [ready, open] = [chosen(ids('ready')), chosen(ids('triage'))];
  if (action === 'create') board.create();
  else if (action === 'family')
    board.create('ready', [ready ?? board.create(), open ?? board.create('triage')]);
  else if (action === 'complete' && ready !== undefined)
    board.complete(ready, { isLost: pick % 2 === 1, stallMs: pick > 4 ? 4000 : 0 });
  else if (action === 'finish' && open !== undefined) board.finish(open);
  else if (action === 'pass') board.pass(pick * 500);
  else if (action === 'prune') board.prune();
  else if (action === 'steady') board.resume(STEADY);
  else if (action === 'pausing') board.resume(PAUSING, pick + 1);
}

it('holds in any history of a board that prunes as it should', () => {
  fc.assert(
    fc.property(fc.array(COMMAND, { maxLength: 120 }), (commands) => {
      const board = new PrunedBoard();
      for (const { action, pick } of commands) act(board, action, pick);
      expect(check(board.end())).toEqual([]);
    }),
    { numRuns: 200 },
  );
});
