/** The checkers, all at once, against histories that nobody thought of: what is valid passes, what is spoilt in one place does not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../chaos/checkers/check.ts';
import type { WatchedEntry } from '../../chaos/watch-entries.ts';
import { RANDOM_HISTORY } from './random-history.ts';
import { recordDay, remove, renumber } from './recorded-day.ts';
import type { RecordedOperation, Recording, Writable } from './small-board-words.ts';

/** Enough to come upon each kind of place; more are for whoever changes a checker. */
const RUNS = { numRuns: 40 };
const VALID_RUNS = { numRuns: 200 };

type Place = number;
/** Spoils one place of the record, or finds none to spoil. */
type Spoiling = (recording: Recording, place: Place) => boolean;

/** One of those in the list that will do. */
function oneOf<T>(
  list: readonly T[],
  place: Place,
  willDo: (item: T) => boolean = () => true,
): T | undefined {
  const candidates = list.filter(willDo);
  return candidates[place % candidates.length];
}

function spoil<T>(item: T | undefined, change: (item: T) => void): boolean {
  if (item === undefined) return false;
  change(item);
  return true;
}

type LogEvent = Recording['final']['events'][number];
const isChange = (event: LogEvent): boolean => event.task_version !== undefined;
const isEnd = (operation: RecordedOperation): boolean =>
  ['complete', 'request_changes', 'fail', 'release', 'block'].includes(operation.kind);
const operationsOf = ({ entries }: Recording): RecordedOperation[] =>
  entries.filter((entry) => entry.entry === 'operation');
const watchedOf = ({ entries }: Recording): Writable<WatchedEntry>[] =>
  entries.filter((entry) => entry.entry === 'watched');

/** With the watchers' part gone: theirs would tell at once. */
function forgetWatchers(recording: Recording): void {
  renumber({ ...recording, tasks: recordDay().tasks });
  recording.final.seq = recording.final.events.length;
  recording.entries = recording.entries.filter(
    ({ entry }) => !['watched', 'bookmark', 'watch_end'].includes(entry),
  );
}

const SPOILINGS: Readonly<Record<string, Spoiling>> = {
  'an event is lost': ({ final }, place) =>
    spoil(oneOf(final.events, place), (event) => remove(final.events, event)),
  'a change is lost, and the log closed over it': (recording, place) =>
    spoil(oneOf(recording.final.events, place, isChange), (event) => {
      remove(recording.final.events, event);
      forgetWatchers(recording);
    }),
  'a change is told twice': (recording, place) =>
    spoil(oneOf(recording.final.events, place, isChange), (event) => {
      const { events } = recording.final;
      events.splice(events.indexOf(event) + 1, 0, structuredClone(event));
      forgetWatchers(recording);
    }),
  'two changes of a task are told in the wrong order': (recording, place) => {
    const { events } = recording.final;
    const next = (event: LogEvent): number =>
      events.findIndex(
        (other) => other.seq > event.seq && other.task_id === event.task_id && isChange(other),
      );
    return spoil(
      oneOf(events, place, (event) => isChange(event) && next(event) >= 0),
      (event) => {
        const [from, to] = [events.indexOf(event), next(event)];
        const other = events[to];
        if (other !== undefined) events[from] = other;
        events[to] = event;
        forgetWatchers(recording);
      },
    );
  },
  'an attempt is used again': ({ final }, place) =>
    spoil(
      oneOf(final.events, place, (event) => event.kind === 'task.claimed'),
      (event) => {
        event.attempt = (event.attempt ?? 0) - 1;
      },
    ),
  'a counter runs ahead': ({ final }) => {
    final.seq += 1;
    return true;
  },
  'a row is lost': ({ final }, place) =>
    spoil(oneOf(final.tasks, place), (task) => remove(final.tasks, task)),
  'a row has another status': ({ final }, place) =>
    spoil(oneOf(final.tasks, place), (task) => {
      task.status = task.status === 'triage' ? 'todo' : 'triage';
    }),
  'a run is lost': ({ final }, place) => spoil(oneOf(final.runs, place), (run) => remove(final.runs, run)),
  'a run has another outcome': ({ final }, place) =>
    spoil(oneOf(final.runs, place), (run) => {
      run.outcome = run.outcome === 'reclaimed' ? 'timed_out' : 'reclaimed';
    }),
  'a claim is lost': ({ final }, place) =>
    spoil(oneOf(final.claims, place), (claim) => remove(final.claims, claim)),
  'a claim is left behind': ({ final }, place) =>
    spoil(
      oneOf(final.runs, place, (run) => run.outcome !== null),
      ({ taskId, attempt, id: runId }) => {
        final.claims.push({ taskId, attempt, runId, leaseExpiresAt: final.readAt });
      },
    ),
  'a count is off': ({ final }) => {
    final.counts.ready = (final.counts.ready ?? 0) + 1;
    return true;
  },
  'a watcher misses an event': (recording, place) => {
    const isFirst = (entry: WatchedEntry): boolean =>
      entry === watchedOf(recording).find(({ process }) => process === entry.process);
    return spoil(
      oneOf(watchedOf(recording), place, (entry) => !isFirst(entry)),
      (entry) => remove(recording.entries, entry),
    );
  },
  'a watcher gets an event twice': ({ entries, ...recording }, place) =>
    spoil(oneOf(watchedOf({ entries, ...recording }), place), (entry) =>
      entries.splice(entries.indexOf(entry), 0, structuredClone(entry)),
    ),
  'a refused end was accepted': (recording, place) => {
    const outcomes = new Map(recording.final.runs.map((run) => [run.id, run.outcome]));
    const isRefused = (operation: RecordedOperation): boolean =>
      isEnd(operation) &&
      operation.ending === 'fail' &&
      'runId' in operation &&
      outcomes.get(operation.runId) !== 'cancelled' &&
      // Completed twice with different words: the history does not keep them.
      !(operation.kind === 'complete' && outcomes.get(operation.runId) === 'completed');
    return spoil(oneOf(operationsOf(recording), place, isRefused), (operation) => {
      operation.ending = 'ok';
    });
  },
  'an acknowledged task is lost without a trace': (recording, place) => {
    const { final } = recording;
    const isAcknowledged = (operation: RecordedOperation): boolean =>
      operation.kind === 'create' && operation.ending === 'ok';
    return spoil(oneOf(operationsOf(recording), place, isAcknowledged), (operation) => {
      const taskId = operation.kind === 'create' ? operation.taskId : undefined;
      const [task] = final.tasks.filter(({ id }) => id === taskId);
      if (task !== undefined) final.counts[task.status] = (final.counts[task.status] ?? 0) - 1;
      final.tasks = final.tasks.filter(({ id }) => id !== taskId);
      final.events = final.events.filter(({ task_id: id }) => id !== taskId);
      final.runs = final.runs.filter((run) => run.taskId !== taskId);
      final.claims = final.claims.filter((claim) => claim.taskId !== taskId);
      forgetWatchers(recording);
    });
  },
  'a key has a second task': (recording, place) => {
    const { final } = recording;
    // A key is free once its task was put away, also when that was opened again since.
    const archived = new Set(
      final.events.flatMap(({ kind, task_id: id }) => (kind === 'task.archived' ? [id] : [])),
    );
    return spoil(
      oneOf(
        final.tasks,
        place,
        ({ id, status, attempt }) => status === 'ready' && attempt === 0 && !archived.has(id),
      ),
      (task) => {
        final.tasks.push({ ...structuredClone(task), id: 'task_99' });
        const events = final.events.filter(({ task_id: id }) => id === task.id);
        final.events.push(...structuredClone(events).map((event) => ({ ...event, task_id: 'task_99' })));
        final.counts.ready = (final.counts.ready ?? 0) + 1;
        forgetWatchers(recording);
      },
    );
  },
};

describe('checkHistory', () => {
  it('finds nothing on a day on which all was well', () => {
    const day = recordDay();
    expect(checkHistory(day.entries, day.final)).toEqual([]);
  });

  it('finds nothing in any history of a board that keeps its rules', () => {
    fc.assert(
      fc.property(RANDOM_HISTORY, ({ entries, final }) => {
        expect(checkHistory(entries, final)).toEqual([]);
      }),
      VALID_RUNS,
    );
  });

  it.each(Object.entries(SPOILINGS))('always finds that %s', (_, spoilOne) => {
    fc.assert(
      fc.property(RANDOM_HISTORY, fc.nat(), (recording, place) => {
        fc.pre(spoilOne(recording, place));
        expect(checkHistory(recording.entries, recording.final)).not.toEqual([]);
      }),
      RUNS,
    );
  });
});
