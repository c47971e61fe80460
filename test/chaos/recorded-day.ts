/** One day of a small board, with all that a checker may have to look at in it; and what the tests change in it. */
import type {
  CancelOperation,
  ClaimOperation,
  CreateOperation,
  RunOperation,
  Violation,
} from '../../chaos/history.ts';
import { SmallBoard } from './small-board.ts';
import type { Held, RecordedOperation, Recording, Writable } from './small-board-words.ts';

export interface Day extends Recording {
  /** Its tasks, by what becomes of them. */
  readonly tasks: Readonly<
    Record<'repeated' | 'crashed' | 'dropped' | 'stopped' | 'finished' | 'live' | 'waiting', string>
  >;
}

function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('the day has it');
  return value;
}

export function recordDay(): Day {
  const board = new SmallBoard();
  const claim = (key: string, worker = 'worker-1.1'): Held => present(board.claimNew(worker, key));
  board.history.watch('watcher-1.1', 0);

  // Nobody hears that it was created, so it is asked for again; nobody hears that it ended, so that as well.
  board.create('repeated', { isLost: true });
  board.create('repeated');
  const repeated = claim('repeated');
  board.write(repeated, 'heartbeat');
  board.write(repeated, 'output');
  board.end(repeated, 'complete', { isLost: true });
  board.end(repeated, 'complete');
  board.end(repeated, 'complete');
  board.history.watch('watcher-1.1', 3);
  board.history.watch('watcher-2.1', 2);
  board.fault('kill worker', 'worker-9');

  const crashed = claim('crashed');
  board.write(crashed, 'heartbeat');
  board.reap(crashed);
  board.wakeDue();
  const second = present(board.claim('worker-2.1'));
  board.write(crashed, 'heartbeat');
  board.end(crashed, 'complete');
  board.write(second, 'ack');
  board.end(second, 'complete');
  board.end(second, 'release');
  board.history.reconnect('watcher-1.1');
  board.history.watch('watcher-1.1', 100);

  board.cancel(board.create('dropped'));
  const stopped = claim('stopped');
  board.cancel(board.create('stopped'));
  board.end(stopped, 'fail');
  const finished = claim('finished');
  board.cancel(board.create('finished'));
  board.end(finished, 'complete');

  board.end(claim('blocked'), 'block');
  board.reap(claim('cooling'));
  board.completeByHand(board.create('by hand'));
  const again = claim('again');
  board.end(again, 'release');
  const live = present(board.claim('worker-2.1'));
  board.write(live, 'heartbeat');
  board.history.killWatcher('watcher-2.1');
  const waiting = board.create('waiting');
  board.assign(waiting, 'other');
  board.assign(waiting, 'press');
  board.pass(500);
  const tasks = {
    repeated: repeated.taskId,
    crashed: crashed.taskId,
    dropped: present(board.tasks.find(({ key }) => key === 'dropped')).id,
    stopped: stopped.taskId,
    finished: finished.taskId,
    live: live.taskId,
    waiting: waiting.id,
  };
  return { ...board.finish(), tasks };
}

/** What a test changes in the record, and what must then be found. */
export type Forgery = readonly [what: string, detail: string, change: (day: Day) => void];

export function forge(change: (day: Day) => void): Day {
  const day = recordDay();
  change(day);
  return day;
}

export function operationsOf(day: Day): RecordedOperation[] {
  return day.entries.filter((entry) => entry.entry === 'operation');
}

export function detailsOf(violations: readonly Violation[]): string[] {
  return [...new Set(violations.map(({ detail }) => detail))];
}

type OperationOf<K extends RecordedOperation['kind']> = Writable<
  K extends 'create'
    ? CreateOperation
    : K extends 'claim'
      ? ClaimOperation
      : K extends 'cancel'
        ? CancelOperation
        : RunOperation
>;

/** The nth operation of that kind on the task, from 1; of claims: that brought it. */
export function operationOn<K extends RecordedOperation['kind']>(
  day: Day,
  kind: K,
  taskId: string,
  nth = 1,
): OperationOf<K> {
  const found = day.entries.filter(
    (entry) =>
      entry.entry === 'operation' &&
      entry.kind === kind &&
      (entry.kind === 'claim'
        ? entry.claims.some((claim) => claim.taskId === taskId)
        : 'taskId' in entry && entry.taskId === taskId),
  );
  return present(found[nth - 1]) as OperationOf<K>;
}

export function eventOf(day: Day, kind: string, taskId: string): Writable<Day['final']['events'][number]> {
  return present(day.final.events.find((event) => event.kind === kind && event.task_id === taskId));
}

export function taskOf(day: Day, taskId: string): Day['final']['tasks'][number] {
  return present(day.final.tasks.find((task) => task.id === taskId));
}

export function runOf(day: Day, taskId: string, attempt = 1): Day['final']['runs'][number] {
  return present(day.final.runs.find((run) => run.taskId === taskId && run.attempt === attempt));
}

export function remove<T>(list: T[], item: T): void {
  const place = list.indexOf(item);
  if (place < 0) throw new Error('the list has it');
  list.splice(place, 1);
}

/** As if the later ones had come one earlier each. */
export function removeFromLog(day: Day, event: Day['final']['events'][number]): void {
  remove(day.final.events, event);
  renumber(day);
}

/** The log as it now stands, dense. Watchers are forgotten: theirs was another log. */
export function renumber(day: Day): void {
  for (const [place, event] of day.final.events.entries()) {
    event.seq = place + 1;
    event.cursor = `cursor ${place + 1}`;
  }
  day.final.seq = day.final.events.length;
  day.entries = day.entries.filter(({ entry }) => !['watched', 'bookmark', 'watch_end'].includes(entry));
}
