/** What the database holds in the end: tables, log and counters of one instant. */
import type postgres from 'postgres';
import type { Event } from '../src/contract/events.ts';
import { type BlockKind, type Outcome, TASK_STATUSES, type TaskStatus } from '../src/contract/statuses.ts';
import { formatCursor } from '../src/server/kernel/cursor.ts';
import { formatId } from '../src/server/kernel/ids.ts';
import { readFinalReturns } from './final-returns.ts';
import type { FinalClaim, FinalLink, FinalRun, FinalState, FinalTask, PrunedState } from './history.ts';
import { atOneMoment, type Moment } from './moment.ts';

interface EventRow {
  readonly seq: number;
  readonly kind: Event['kind'];
  readonly at: Date;
  readonly task_id: string | null;
  readonly run_id: string | null;
  readonly delegation_id: string | null;
  readonly lane: string | null;
  readonly worker: string | null;
  readonly attempt: number | null;
  readonly task_version: number | null;
  readonly actor_type: Event['actor']['type'];
  readonly actor_id: string;
  readonly data: Event['data'];
}

interface BoardRow {
  readonly id: number;
  readonly log_incarnation: string;
}

interface TaskRow {
  readonly id: string;
  readonly status: TaskStatus;
  readonly lane: string | null;
  readonly attempt: number;
  readonly version: number;
  readonly idempotency_key: string | null;
  readonly run_at: Date | null;
  readonly blocked_kind: BlockKind | null;
  readonly blocked_reason: string | null;
  readonly unmet_parents: number;
  readonly archived_from: TaskStatus | null;
  readonly reviewer: string | null;
  readonly implementer_lane: string | null;
  readonly implementer_worker: string | null;
}

interface LinkRow {
  readonly child_id: string;
  readonly parent_id: string;
  readonly is_met: boolean;
}

interface RunRow {
  readonly id: string;
  readonly task_id: string;
  readonly attempt: number;
  readonly outcome: Outcome | null;
  readonly started_at: Date;
  readonly ended_at: Date | null;
}

interface ClaimRow {
  readonly task_id: string;
  readonly run_id: string;
  readonly attempt: number;
  readonly lease_expires_at: Date;
}

type CounterRow = Readonly<Record<TaskStatus | 'seq', number>>;

export function readFinalState(sql: postgres.Sql, boardName: string): Promise<FinalState> {
  return atOneMoment(sql, (tx, moment) => readBoard(tx, boardName, moment));
}

export function readPrunedState(
  sql: postgres.Sql,
  boardName: string,
  keptSeconds: PrunedState['keptSeconds'],
): Promise<PrunedState> {
  return atOneMoment(sql, async (tx, moment) => {
    const final = await readBoard(tx, boardName, moment);
    const [row] = await tx<{ pruned_seq: number }[]>`
      SELECT s.pruned_seq::int FROM board_seq s JOIN boards b ON b.id = s.board_id WHERE b.name = ${boardName}`;
    if (row === undefined) throw new Error('the board has no counter row');
    return { ...final, readFromMs: moment.readFromMs, prunedSeq: row.pruned_seq, keptSeconds };
  });
}

async function readBoard(
  tx: postgres.TransactionSql,
  boardName: string,
  { readAt, readAtMs }: Moment,
): Promise<FinalState> {
  const [board] = await tx<BoardRow[]>`SELECT id, log_incarnation FROM boards WHERE name = ${boardName}`;
  if (board === undefined) throw new Error(`there is no board ${boardName}`);
  const events = await tx<EventRow[]>`
    SELECT seq::int, kind, at, task_id, run_id, delegation_id, lane, worker, attempt, task_version, actor_type, actor_id, data
    FROM events WHERE board_id = ${board.id} ORDER BY seq`;
  const tasks = await tx<TaskRow[]>`
    SELECT t.id, t.status, t.lane, t.attempt, t.version, d.idempotency_key, t.run_at, t.blocked_kind, t.blocked_reason,
      t.unmet_parents, t.archived_from, t.reviewer, t.implementer_lane, t.implementer_worker
    FROM tasks t JOIN task_details d ON d.board_id = t.board_id AND d.task_id = t.id WHERE t.board_id = ${board.id}`;
  const runs = await tx<RunRow[]>`
    SELECT id, task_id, attempt, outcome, started_at, ended_at FROM runs WHERE board_id = ${board.id}`;
  const claims = await tx<ClaimRow[]>`
    SELECT task_id, run_id, attempt, lease_expires_at FROM claims WHERE board_id = ${board.id}`;
  const links = await tx<
    LinkRow[]
  >`SELECT child_id, parent_id, is_met FROM links WHERE board_id = ${board.id}`;
  const [counter] = await tx<CounterRow[]>`
    SELECT seq::int, ${tx.unsafe(TASK_STATUSES.map((status) => `${status}::int`).join(', '))}
    FROM board_seq WHERE board_id = ${board.id}`;
  if (counter === undefined) throw new Error('the board has no counter row');
  const returns = await readFinalReturns(tx, board.id);
  const counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, counter[status]]));
  return {
    board: boardName,
    readAt,
    readAtMs,
    seq: counter.seq,
    events: events.map((row) => eventOf(board, boardName, row)),
    tasks: tasks.map(taskOf),
    runs: runs.map(runOf),
    claims: claims.map(claimOf),
    links: links.map(linkOf),
    counts,
    ...returns,
  };
}

/** As the wire has it: absent instead of null. */
function eventOf(board: BoardRow, boardName: string, row: EventRow): Event {
  const { lane, worker, attempt, task_version, task_id, run_id, delegation_id } = row;
  const optional = {
    lane,
    worker,
    attempt,
    task_version,
    task_id: task_id === null ? null : formatId('task', task_id),
    run_id: run_id === null ? null : formatId('run', run_id),
    delegation_id: delegation_id === null ? null : formatId('deleg', delegation_id),
  };
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null));
  return {
    cursor: formatCursor({ boardId: board.id, incarnation: board.log_incarnation, seq: row.seq }),
    seq: row.seq,
    board: boardName,
    kind: row.kind,
    at: row.at.toISOString(),
    actor: { type: row.actor_type, id: row.actor_id },
    data: row.data,
    ...given,
  };
}

function taskOf(row: TaskRow): FinalTask {
  return {
    id: formatId('task', row.id),
    status: row.status,
    lane: row.lane,
    attempt: row.attempt,
    version: row.version,
    idempotencyKey: row.idempotency_key,
    runAt: row.run_at?.toISOString() ?? null,
    blockedKind: row.blocked_kind,
    blockedReason: row.blocked_reason,
    unmetParents: row.unmet_parents,
    archivedFrom: row.archived_from,
    reviewer: row.reviewer,
    implementerLane: row.implementer_lane,
    implementerWorker: row.implementer_worker,
  };
}

function linkOf(row: LinkRow): FinalLink {
  return {
    childId: formatId('task', row.child_id),
    parentId: formatId('task', row.parent_id),
    isMet: row.is_met,
  };
}

function runOf(row: RunRow): FinalRun {
  return {
    id: formatId('run', row.id),
    taskId: formatId('task', row.task_id),
    attempt: row.attempt,
    outcome: row.outcome,
    startedAt: row.started_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
  };
}

function claimOf(row: ClaimRow): FinalClaim {
  return {
    taskId: formatId('task', row.task_id),
    runId: formatId('run', row.run_id),
    attempt: row.attempt,
    leaseExpiresAt: row.lease_expires_at.toISOString(),
  };
}
