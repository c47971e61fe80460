/**
 * Takes tasks over from another board, a batch at a time: each batch stands or falls as a whole, and one that is sent again finds its tasks
 * there. A task comes with its links to tasks that are there before it, in the same transaction, so that none that has to wait is ready for a
 * moment; links in a second pass would let a claim have it in between.
 */
import type { z } from 'zod';
import { LIMITS } from '../../../contract/constants.ts';
import type { ImportedTask, importTasks } from '../../../contract/import.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { appendEvents, countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { RaceError } from '../../db/failures.ts';
import { transaction } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { present } from '../../kernel/assert.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { FIELD_PROBLEMS_MAX, type FieldProblem, ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { type ConfigCache, markReviewers, type NamedLane, registerMissingLanes } from '../lanes/service.ts';
import {
  countChildren,
  findByExternalRefs,
  insertLinks,
  isSatisfied,
  lockLinks,
  lockTasks,
  type NewLink,
} from '../tasks/service.ts';
import { arrivedComments, arrivedRuns, arrivedTask, createdEvent, idsByAge } from './arrival.ts';
import { type KnownTask, type Plan, planImport } from './plan.ts';
import { insertArrivedComments, insertArrivedRuns, insertArrivedTasks, listHeldKeys } from './store.ts';

type ImportBody = z.infer<(typeof importTasks)['body']>;
type ImportReply = z.infer<(typeof importTasks)['responses'][200]>;

interface TaskImportParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly configs: ConfigCache;
}

/** Who ended the runs of the other board. */
const ENDER: ActorRef = { type: 'system', id: 'import' };

export class TaskImport {
  readonly #parts: TaskImportParts;

  constructor(parts: TaskImportParts) {
    this.#parts = parts;
  }

  async import(caller: Principal, board: BoardRef, body: ImportBody): Promise<ImportReply> {
    assertCoherent(body.tasks);
    const reply = await transaction(this.#parts.sql, (tx) => this.#import(tx, actorOf(caller), board, body));
    if (body.dry_run) return reply;
    this.#parts.configs.forget(board.id);
    this.#parts.wake.ring(board.id);
    return reply;
  }

  async #import(tx: Tx, actor: ActorRef, board: BoardRef, body: ImportBody): Promise<ImportReply> {
    const isDryRun = body.dry_run === true;
    // One import of a board at a time, and no links between its tasks meanwhile.
    if (!isDryRun) await lockLinks(tx, board.id);
    const lanes = await registerMissingLanes(tx, board.id, distinctLanes(body.lanes ?? []), isDryRun);
    const seen = await findKnown(tx, board, body.tasks);
    const fresh = body.tasks.filter(({ external_ref }) => !seen.has(external_ref));
    const reviewers = [...new Set(fresh.flatMap(({ reviewer }) => (reviewer ? [reviewer] : [])))];
    if (!isDryRun) await markReviewers(tx, board.id, reviewers);
    const known = isDryRun ? seen : await withParentsLocked(tx, board, fresh, seen);
    const plan = await planWithin(tx, board, body, known);
    if (!isDryRun) await this.#write(tx, actor, board, { plan, known, lanes });
    return { lanes: lanes.map(({ name }) => name), tasks: [...plan.results] };
  }

  async #write(
    tx: Tx,
    actor: ActorRef,
    board: BoardRef,
    {
      plan,
      known,
      lanes,
    }: { plan: Plan; known: ReadonlyMap<string, KnownTask>; lanes: readonly NamedLane[] },
  ): Promise<void> {
    const { ids, clock } = this.#parts;
    const idOf = idsByAge(plan.tasks, clock);
    for (const [ref, { id }] of known) idOf.set(ref, id);
    const find = (ref: string): Uuid => present(idOf.get(ref), 'a planned link names tasks that are there');
    const arrivals = plan.tasks.map((planned) => {
      const row = arrivedTask(planned, find(planned.task.external_ref));
      return { planned, row, parents: planned.parents.map(({ externalRef }) => find(externalRef)) };
    });
    const rows = arrivals.map(({ row }) => row);
    if ((await insertArrivedTasks(tx, board.id, rows, actor)) !== rows.length)
      throw new RaceError('somebody took an external_ref or an idempotency_key meanwhile');
    const runs = plan.tasks.flatMap(({ task }) =>
      arrivedRuns(task, find(task.external_ref), () => ids.next(board.id)),
    );
    await insertArrivedRuns(tx, board.id, runs, ENDER);
    const comments = plan.tasks.flatMap(({ task }) => arrivedComments(task, find(task.external_ref), clock));
    await insertArrivedComments(tx, board.id, comments);
    await insertLinks(tx, board.id, linksOf(plan, find));
    const events: NewEvent[] = [
      ...lanes.map(({ name, fields }) => ({
        kind: 'lane.registered' as const,
        lane: name,
        actor,
        data: { ...fields },
      })),
      ...arrivals.map(({ planned, row, parents }) => createdEvent(planned, row, parents, actor)),
    ];
    if (events.length === 0) return;
    const counts: StatusCounts = {};
    for (const { status } of rows) countMove(counts, null, status);
    const isConfigChange = lanes.length > 0 || rows.some(({ reviewer }) => reviewer !== null);
    await appendEvents(tx, board.id, { events, counts, isConfigChange });
  }
}

function linksOf(plan: Plan, find: (ref: string) => Uuid): NewLink[] {
  return plan.tasks.flatMap(({ task, parents }) =>
    parents.map(({ externalRef, isMet }) => ({
      childId: find(task.external_ref),
      parentId: find(externalRef),
      isMet,
    })),
  );
}

/** Tasks of the request and their parents, as far as the board has them. */
async function findKnown(
  tx: Tx,
  board: BoardRef,
  tasks: readonly ImportedTask[],
): Promise<Map<string, KnownTask>> {
  const refs = new Set(tasks.flatMap(({ external_ref, parents }) => [external_ref, ...parents]));
  const found = await findByExternalRefs(tx, board.id, [...refs]);
  return new Map(
    found.map((task) => [
      task.external_ref,
      { id: task.id, status: task.status, isSatisfied: isSatisfied(task) },
    ]),
  );
}

/** Parents of what is new are locked before it is decided whether they are done: their ends have to see the links. */
async function withParentsLocked(
  tx: Tx,
  board: BoardRef,
  fresh: readonly ImportedTask[],
  known: ReadonlyMap<string, KnownTask>,
): Promise<Map<string, KnownTask>> {
  const parents = new Set(fresh.flatMap((task) => task.parents));
  const found = new Map([...known].filter(([ref]) => parents.has(ref)).map(([ref, { id }]) => [id, ref]));
  const sure = new Map(known);
  for (const ref of found.values()) sure.delete(ref);
  for (const task of await lockTasks(tx, board.id, [...found.keys()])) {
    const ref = present(found.get(task.id), 'only these are locked');
    sure.set(ref, { id: task.id, status: task.status, isSatisfied: isSatisfied(task) });
  }
  return sure;
}

async function planWithin(
  tx: Tx,
  board: BoardRef,
  { dry_run: isDryRun, tasks, assumed }: ImportBody,
  known: ReadonlyMap<string, KnownTask>,
): Promise<Plan> {
  const isNew = ({ external_ref }: ImportedTask): boolean => !known.has(external_ref);
  const keys = tasks.filter(isNew).flatMap(({ idempotency_key: key }) => (key ? [key] : []));
  const children = await countChildren(
    tx,
    board.id,
    [...known.values()].map(({ id }) => id),
  );
  const surroundings = {
    known,
    // What is written waits for what is there, whatever somebody assumes.
    assumed: new Map(
      (isDryRun ? (assumed ?? []) : []).map(({ external_ref, satisfied }) => [external_ref, satisfied]),
    ),
    takenKeys: new Set(await listHeldKeys(tx, board.id, keys)),
    freePlaces: (id: Uuid) => LIMITS.childrenMax - (children.get(id) ?? 0),
  };
  return planImport(tasks, surroundings, LIMITS.childrenMax);
}

type LanesOfBody = NonNullable<ImportBody['lanes']>;

function distinctLanes(lanes: LanesOfBody): LanesOfBody {
  return [...new Map(lanes.map((lane) => [lane.name, lane])).values()];
}

/** What no schema says: fields that go with one status alone. */
function assertCoherent(tasks: readonly ImportedTask[]): void {
  const refs = new Set<string>();
  const errors = tasks.flatMap((task, index): FieldProblem[] => {
    const wrong: [string, string, boolean][] = [
      ['external_ref', 'names a task of this request a second time', refs.has(task.external_ref)],
      [
        'run_at',
        'with status scheduled, and only there',
        (task.status === 'scheduled') !== Boolean(task.run_at),
      ],
      ['blocked', 'only with status blocked', Boolean(task.blocked) && task.status !== 'blocked'],
      ['reviewer', 'only with status review', Boolean(task.reviewer) && task.status !== 'review'],
      ['runs', 'of a task in review: at least one', task.status === 'review' && task.runs.length === 0],
    ];
    refs.add(task.external_ref);
    return wrong.flatMap(([field, detail, isWrong]) =>
      isWrong ? [{ pointer: `/tasks/${index}/${field}`, detail }] : [],
    );
  });
  const [first] = errors;
  if (first === undefined) return;
  throw new ProblemError(
    'invalid_request',
    `The body is not valid: ${first.pointer.slice(1)}: ${first.detail}.`,
    {
      errors: errors.slice(0, FIELD_PROBLEMS_MAX),
    },
  );
}
