/**
 * What the log gets of heartbeats: progress, what is told, and else a sign of life now and then. Most carry nothing and are not looked at;
 * the others are judged under the locks of their claims, and their events are written in the same transaction.
 */
import type { HeartbeatBody } from '../../../../contract/runs.ts';
import type { Sql, Tx } from '../../../db/client.ts';
import { appendNews, type NewEvent } from '../../../db/event-log.ts';
import { transaction } from '../../../db/tx.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { BoardRef } from '../../boards/service.ts';
import { type BeatRow, type LoggedBeat, type RecordedBeat, recordBeats } from '../store/heartbeat.ts';
import { actorOfHold, type RunBeat } from './run-operation.ts';

/**
 * Resolves to whether the log got anything.
 * @param rows Of those that hold their claims, by run.
 */
export async function logBeats(
  sql: Sql,
  board: BoardRef,
  beats: readonly RunBeat[],
  rows: ReadonlyMap<Uuid, BeatRow>,
): Promise<boolean> {
  const worthLooking = beats.filter((beat) => {
    const row = rows.get(beat.runId);
    return row !== undefined && (row.is_log_due || mayCarryMore(beat, row));
  });
  if (worthLooking.length === 0) return false;
  return await transaction(sql, (tx) => recordAndLog(tx, board, worthLooking, rows));
}

/** A note or metadata is worth an event of its own, however recent the last one is. */
function isTelling({ note, metadata }: HeartbeatBody): boolean {
  return Boolean(note) || Boolean(metadata);
}

/** Whether it is worth a look at the rows under their locks. A number that is not above what has been kept never will be. */
function mayCarryMore({ body }: RunBeat, { progress }: BeatRow): boolean {
  const isHigher = (body.progress ?? Number.NEGATIVE_INFINITY) > (progress ?? Number.NEGATIVE_INFINITY);
  return isHigher || (body.checkpoint ?? null) !== null || isTelling(body);
}

async function recordAndLog(
  tx: Tx,
  board: BoardRef,
  beats: readonly RunBeat[],
  rows: ReadonlyMap<Uuid, BeatRow>,
): Promise<boolean> {
  const recorded = await recordBeats(tx, board.id, beats.map(loggedBeatOf));
  const events = beats.flatMap((beat) => {
    const what = recorded.get(beat.taskId);
    return what === undefined ? [] : [beatEvent(beat, rows.get(beat.runId), what)];
  });
  if (events.length > 0) await appendNews(tx, board.id, events);
  return events.length > 0;
}

export function loggedBeatOf({ body, ...hold }: RunBeat): LoggedBeat {
  const checkpoint = body.checkpoint ?? null;
  return {
    ...hold,
    progress: body.progress ?? null,
    metadata: body.metadata ?? null,
    checkpoint: checkpoint === null ? null : JSON.stringify(checkpoint),
    isTelling: isTelling(body),
  };
}

function beatEvent(
  { claim, body, ...hold }: RunBeat,
  row: BeatRow | undefined,
  { is_higher: isHigher, is_new_checkpoint: isNewCheckpoint }: RecordedBeat,
): NewEvent {
  return {
    kind: isHigher || isNewCheckpoint ? 'task.progress' : 'task.heartbeat',
    taskId: hold.taskId,
    runId: hold.runId,
    lane: claim.lane,
    worker: claim.worker,
    attempt: hold.attempt,
    actor: actorOfHold(claim),
    data: {
      lease_expires_at: row?.lease_expires_at ?? null,
      ...(body.note ? { note: body.note } : {}),
      ...(isHigher ? { progress: body.progress } : {}),
      ...(isNewCheckpoint ? { has_checkpoint: true } : {}),
      ...(body.metadata ? { metadata: body.metadata } : {}),
    },
  };
}
