/** A task as the wire shows it. */

import type { z } from 'zod';
import type { Message } from '../../../contract/messages.ts';
import type { Origin, OriginBody } from '../../../contract/origins.ts';
import { FINISHED_STATUSES } from '../../../contract/statuses.ts';
import type { Comment as CommentSchema, Task } from '../../../contract/tasks.ts';
import { TASK_BACKOFF } from '../../kernel/backoff.ts';
import { formatId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import type { CommentRow } from './store/comment.ts';
import type { MessageRow } from './store/message.ts';
import type { TaskRow } from './store/read.ts';

/** What its last run left; a task that was just claimed has none of it yet. */
type LastRunColumn = 'outcome' | 'summary' | 'result' | 'metadata' | 'ended_at';
type ShownTaskRow = Omit<TaskRow, LastRunColumn> & Partial<Pick<TaskRow, LastRunColumn>>;

export function taskOf(board: BoardRef, row: ShownTaskRow): Task {
  return {
    id: formatId('task', row.id),
    board: board.name,
    title: row.title,
    body: row.body,
    status: row.status,
    lane: row.lane,
    priority: row.priority,
    payload: row.payload as Task['payload'],
    result: (row.result ?? null) as Task['result'],
    summary: row.summary ?? null,
    metadata: (row.metadata ?? {}) as Task['metadata'],
    labels: row.labels,
    tenant: row.tenant,
    external_ref: row.external_ref,
    idempotency_key: row.idempotency_key,
    version: row.version,
    attempt: row.attempt,
    consecutive_failures: row.consecutive_failures,
    max_failures: row.max_failures,
    max_runtime_seconds: row.max_runtime_seconds,
    no_progress_seconds: row.no_progress_seconds,
    backoff: backoffOf(row),
    run_at: row.run_at,
    unmet_parents: row.unmet_parents,
    reviewer: row.reviewer,
    blocked: row.status === 'blocked' ? { kind: row.blocked_kind, reason: row.blocked_reason } : null,
    claim: claimOf(row),
    delegation_id: row.delegation_id === null ? null : formatId('deleg', row.delegation_id),
    origin: row.origin === null ? null : originOf(row.origin),
    comment_count: row.comment_count,
    created_by: { type: row.created_by_type, id: row.created_by_id },
    created_at: row.created_at,
    updated_at: row.updated_at,
    status_since: row.status_since,
    finished_at: finishedAt(row),
  };
}

/** What is stored of an origin: only what was given. */
export function givenParts(origin: OriginBody): Record<string, string> {
  return Object.fromEntries(
    Object.entries(origin).filter((part): part is [string, string] => Boolean(part[1])),
  );
}

export function originOf(stored: Readonly<Record<string, string | null>>): Origin {
  const part = (name: keyof Origin): string | null => stored[name] || null;
  return {
    platform: part('platform'),
    chat_id: part('chat_id'),
    thread_id: part('thread_id'),
    user_id: part('user_id'),
    session_id: part('session_id'),
    profile: part('profile'),
    context: part('context'),
  };
}

function backoffOf({ backoff }: Pick<TaskRow, 'backoff'>): Task['backoff'] {
  return {
    base_seconds: backoff?.base_seconds ?? TASK_BACKOFF.baseSeconds,
    factor: backoff?.factor ?? TASK_BACKOFF.factor,
    cap_seconds: backoff?.cap_seconds ?? TASK_BACKOFF.capSeconds,
  };
}

function claimOf(row: ShownTaskRow): Task['claim'] {
  const { run_id, claim_lane, worker, claim_attempt, claimed_at, lease_expires_at } = row;
  if (!run_id || !claim_lane || !worker || !claim_attempt || !claimed_at || !lease_expires_at) return null;
  return {
    run_id: formatId('run', run_id),
    lane: claim_lane,
    worker,
    attempt: claim_attempt,
    claimed_at,
    lease_expires_at,
    cancel_requested: row.is_cancel_requested === true,
    progress: row.claim_progress ?? null,
  };
}

/** An archived task finished when its last run ended; one that never ran, when it was archived. */
function finishedAt(row: ShownTaskRow): string | null {
  if (!FINISHED_STATUSES.includes(row.status)) return null;
  return row.status === 'archived' ? (row.ended_at ?? row.status_since) : row.status_since;
}

export function commentOf(row: CommentRow): z.infer<typeof CommentSchema> {
  return {
    id: formatId('cmt', row.id),
    body: row.body,
    author: { type: row.author_type, id: row.author_id },
    at: row.at,
  };
}

export function messageOf(row: MessageRow): Message {
  return {
    id: formatId('msg', row.id),
    text: row.text,
    at: row.at,
    state: row.state,
    author: { type: row.author_type, id: row.author_id },
    run_id: row.run_id === null ? null : formatId('run', row.run_id),
    delivered_at: row.delivered_at,
    acknowledged_at: row.acknowledged_at,
  };
}
