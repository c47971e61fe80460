/**
 * Property 7: one idempotency key has one effect, however often it was sent, whatever happened to the answers.
 *
 * Proves: all acknowledged creations with one key name one task; the tables hold one task of each key; and a key under which nothing but
 * refusals was answered has none. An archived task frees its key for one more.
 *
 * Cannot prove: anything about keys of requests that create nothing, which leave no trace in the tables.
 */
import type { CreateOperation, FinalState, Operation, Violation } from '../history.ts';
import { groupBy } from './group-by.ts';

const violation = (detail: string, evidence: Violation['evidence']): Violation => ({
  property: 7,
  detail,
  evidence,
});

export function checkIdempotency(operations: readonly Operation[], final: FinalState): Violation[] {
  const creations = operations.filter(
    (operation): operation is CreateOperation => operation.kind === 'create',
  );
  const rows = groupBy(
    final.tasks.filter((task) => task.idempotencyKey !== null),
    (task) => task.idempotencyKey ?? '',
  );
  const archived = new Set(
    final.events.filter((event) => event.kind === 'task.archived').map((event) => event.task_id),
  );
  /** Of how many tasks a key may be. */
  const limitOf = (taskIds: ReadonlySet<string>): number =>
    1 + [...taskIds].filter((id) => archived.has(id)).length;

  const answered = [...groupBy(creations, (operation) => operation.idempotencyKey)].flatMap(([key, own]) => {
    const acknowledged = own.filter((operation) => operation.ending === 'ok');
    const taskIds = new Set(acknowledged.flatMap(({ taskId }) => (taskId === undefined ? [] : [taskId])));
    if (taskIds.size > limitOf(taskIds))
      return [violation('one key was answered with several tasks', { key, operations: acknowledged })];
    const tasks = rows.get(key);
    if (tasks === undefined || own.some((operation) => operation.ending !== 'fail')) return [];
    return [violation('a refused creation had an effect', { key, operations: own, tasks })];
  });
  const stored = [...rows].flatMap(([key, tasks]) => {
    if (tasks.length <= limitOf(new Set(tasks.map((task) => task.id)))) return [];
    return [violation('one key has several tasks', { key, tasks })];
  });
  return [...answered, ...stored];
}
