/** One portion of what one board has set for one kind, in one transaction: rows first, then when to come again, and what the counter row takes last. */
import type { RetentionKind } from '../../../contract/retention.ts';
import { pinPlans, type Tx } from '../../db/client.ts';
import { lockDelegationsOf } from '../../db/erased-parts.ts';
import { BoardGoneError } from '../../db/failures.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import { FIRST_ID, firstIdAt, type Pruned, type PruneTurn, type Walked, type WalkTurn } from './portion.ts';
import { type DueTurn, goOn, lockDue, putOff, rest } from './store/due.ts';
import { movePrunedSeq, pruneEvents } from './store/events.ts';
import {
  type Erased,
  eraseEmptyDelegations,
  eraseFinished,
  findOldestAfter,
  hasRunningOperation,
  lockFinished,
  logErased,
} from './store/finished.ts';
import { pruneDeliveries, pruneMessages, pruneOutput } from './store/returns.ts';
import { pruneRuns } from './store/runs.ts';

const RETENTION: ActorRef = { type: 'system', id: 'retention' };

/** What is found by its time is looked at again after a hundredth of how long it is kept, and by then at most so much too late. */
const RANGE_PAUSE_SHARE = 0.01;
const RANGE_PAUSE_SECONDS_MAX = 600;
/** A walk costs more than a look. */
const WALK_PAUSE_SHARE = 0.05;
const WALK_PAUSE_SECONDS_MAX = 3600;
/** What is kept for seconds is pruned every second. */
const PAUSE_SECONDS_MIN = 1;
/** Of rows that are not pruned: a million of them are gone through in a second of a connection, and at most every hundred seconds. */
const LEFT_ROWS_PER_SECOND = 10_000;
/** Operations take seconds, so this is soon enough, and a look is cheap. */
const OPERATION_PAUSE_SECONDS = 5;
/** However long something is kept. */
const LOOK_SECONDS_MAX = 86_400;

export interface PortionEnd {
  readonly pruned: number;
  readonly isCut: boolean;
  /** Somebody is to hear of it. */
  readonly hasEvents: boolean;
}

/** The last step, under the counter row. */
type LastStep = ((tx: Tx) => Promise<void>) | null;

interface Done {
  /** `hindered`: not now. Where it is on its way, and how far behind, is not forgotten. */
  readonly pruned: Pruned | Walked | 'hindered';
  readonly lastStep: LastStep;
}

/** Null: it is another server's, or not due any more. @param statementMsMax For each: what takes longer is tried with fewer rows. */
export async function prunePortion(
  tx: Tx,
  boardId: number,
  kind: RetentionKind,
  bounds: { readonly rowsMax: number; readonly statementMsMax: number },
): Promise<PortionEnd | null> {
  await pinPlans(tx);
  await tx`/* retention.statement_timeout */ SELECT set_config('statement_timeout', ${`${bounds.statementMsMax}ms`}, true)`;
  const due = await lockDue(tx, boardId, kind);
  if (due === null) return null;
  const turn = { horizon: due.horizon, rowsMax: bounds.rowsMax };
  const { pruned, lastStep } = await pruneKind(tx, boardId, kind, turn, due);
  if (pruned === 'hindered') {
    await putOff(tx, boardId, kind, OPERATION_PAUSE_SECONDS);
    return { pruned: 0, isCut: false, hasEvents: false };
  }
  await noteProgress(tx, boardId, kind, due, pruned);
  await lastStep?.(tx);
  const hasEvents = kind === 'finished_tasks' && pruned.pruned > 0;
  return { pruned: pruned.pruned, isCut: pruned.isCut, hasEvents };
}

async function pruneKind(
  tx: Tx,
  boardId: number,
  kind: RetentionKind,
  turn: PruneTurn,
  due: DueTurn,
): Promise<Done> {
  switch (kind) {
    case 'events': {
      const pruned = await pruneEvents(tx, boardId, turn);
      const { prunedSeq } = pruned;
      return { pruned, lastStep: prunedSeq === null ? null : (last) => moveMark(last, boardId, prunedSeq) };
    }
    case 'finished_tasks':
      return pruneFinished(tx, boardId, walkOf(turn, due));
    case 'runs': {
      const walk = walkOf(turn, due);
      const pruned = await pruneRuns(tx, boardId, walk);
      // No run of a task that is made later is over before its task could be.
      const oldestAt = pruned.isCut ? null : await findOldestAfter(tx, boardId, walk.endId);
      return { pruned: { ...pruned, oldestAt }, lastStep: null };
    }
    case 'output':
      return { pruned: await pruneOutput(tx, boardId, turn), lastStep: null };
    case 'deliveries':
      return { pruned: await pruneDeliveries(tx, boardId, turn), lastStep: null };
    case 'messages':
      return { pruned: await pruneMessages(tx, boardId, turn), lastStep: null };
  }
}

function walkOf(turn: PruneTurn, { place, place_attempt: placeAttempt }: DueTurn): WalkTurn {
  return { ...turn, place: place ?? FIRST_ID, placeAttempt, endId: firstIdAt(turn.horizon) };
}

async function moveMark(tx: Tx, boardId: number, seq: number): Promise<void> {
  if (!(await movePrunedSeq(tx, boardId, seq)))
    throw new BoardGoneError(`board ${boardId} has no counter row`);
}

async function pruneFinished(tx: Tx, boardId: number, turn: WalkTurn): Promise<Done> {
  if (await hasRunningOperation(tx, boardId)) return { pruned: 'hindered', lastStep: null };
  const page = await lockFinished(tx, boardId, turn);
  const erased = page.ids.length === 0 ? null : await eraseFinished(tx, boardId, page.ids);
  const { count = 0, followed = null } = erased ?? {};
  if (followed !== null) await eraseDelegationsOf(tx, boardId, followed);
  const pruned: Walked = {
    pruned: count,
    left: page.seen - count,
    isCut: page.isCut,
    place: page.place,
    placeAttempt: 0,
    oldestAt: page.isCut ? null : await findOldestAfter(tx, boardId, turn.endId),
  };
  return { pruned, lastStep: erased === null ? null : (last) => tellErased(last, boardId, erased) };
}

/** Most tasks that are followed are in none. */
async function eraseDelegationsOf(tx: Tx, boardId: number, taskIds: readonly Uuid[]): Promise<void> {
  const ids = await lockDelegationsOf(tx, boardId, taskIds);
  if (ids.length > 0) await eraseEmptyDelegations(tx, boardId, ids);
}

async function tellErased(tx: Tx, boardId: number, erased: Erased): Promise<void> {
  if (!(await logErased(tx, boardId, erased, RETENTION)))
    throw new BoardGoneError(`board ${boardId} has no counter row`);
}

async function noteProgress(
  tx: Tx,
  boardId: number,
  kind: RetentionKind,
  due: DueTurn,
  pruned: Pruned | Walked,
): Promise<void> {
  const isWalk = 'left' in pruned;
  const leftRows = isWalk ? due.left_rows + pruned.left : 0;
  if (pruned.isCut) {
    const place = isWalk ? pruned.place : null;
    await goOn(tx, boardId, kind, { place, placeAttempt: isWalk ? pruned.placeAttempt : 0, leftRows });
    return;
  }
  const share = isWalk ? WALK_PAUSE_SHARE : RANGE_PAUSE_SHARE;
  const longest = isWalk ? WALK_PAUSE_SECONDS_MAX : RANGE_PAUSE_SECONDS_MAX;
  const pauseSeconds = Math.max(
    PAUSE_SECONDS_MIN,
    Math.min(due.kept_seconds * share, longest),
    leftRows / LEFT_ROWS_PER_SECOND,
  );
  // What a walk has left may be over at any time, or has been for a while: when, nobody knows without looking.
  const oldestAt = leftRows > 0 ? due.horizon : pruned.oldestAt;
  await rest(tx, boardId, kind, { pauseSeconds, pauseSecondsMax: LOOK_SECONDS_MAX, oldestAt });
}
