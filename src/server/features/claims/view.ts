/** Runs and handoffs as the wire shows them. */
import type { Handoff } from '../../../contract/claims.ts';
import type { Run } from '../../../contract/runs.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { formatId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import { commentOf, type ParentRow, type ToldRow } from '../tasks/service.ts';
import type { AttemptRow } from './store/claim.ts';
import type { RunRow } from './store/run.ts';

export function runOf(board: BoardRef, row: RunRow): Run {
  return {
    run_id: formatId('run', row.id),
    board: board.name,
    task_id: formatId('task', row.task_id),
    attempt: row.attempt,
    lane: row.lane,
    worker: row.worker,
    outcome: row.outcome,
    started_at: row.started_at,
    ended_at: row.ended_at,
    ended_by: row.ended_by_type && row.ended_by_id ? { type: row.ended_by_type, id: row.ended_by_id } : null,
    summary: row.summary,
    result: row.result as Run['result'],
    metadata: (row.metadata ?? {}) as Run['metadata'],
    error: row.error,
    checkpoint: row.checkpoint as Run['checkpoint'],
    evidence: row.evidence as Run['evidence'],
  };
}

/** What a worker can take in at a glance; more is a request away. The numbers are those that users of such boards are used to; docs/protocol.md lists them. */
export const HANDOFF_ATTEMPTS_MAX = 10;
export const HANDOFF_COMMENTS_MAX = 30;
/** As many as a page of a list. */
export const HANDOFF_PARENTS_MAX = 50;
export const HANDOFF_TEXT_CHARACTERS_MAX = 4096;
/** A document of a page or two; the whole is in the run. */
export const HANDOFF_JSON_CHARACTERS_MAX = 8192;

export const EMPTY_HANDOFF: Handoff = {
  parents: [],
  comments: [],
  attempts: [],
  review: null,
  messages: [],
  truncated: [],
};

type CommentRows = Parameters<typeof commentOf>[0][];

/** What is told to a holder: enough to act on, and the id to acknowledge it by. */
export function toldMessageOf({ id, text, at }: ToldRow): Handoff['messages'][number] {
  return { id: formatId('msg', id), text, at };
}

interface HandoffParts {
  readonly parents: readonly ParentRow[];
  readonly attempts: readonly AttemptRow[];
  readonly comments: CommentRows;
  readonly messages: readonly ToldRow[];
}

/** The lists hold one entry more than the caps when something is left out; messages are capped where they are sent. */
export function handoffOf({ parents, attempts, comments, messages }: HandoffParts): Handoff {
  const truncated: string[] = [];
  const noteLength = (name: string, list: readonly unknown[], max: number): void => {
    if (list.length > max) truncated.push(name);
  };
  const capText = (name: string, text: string | null): string | null => {
    if (text === null || text.length <= HANDOFF_TEXT_CHARACTERS_MAX) return text;
    if (!truncated.includes(name)) truncated.push(name);
    return excerptOf(text, HANDOFF_TEXT_CHARACTERS_MAX);
  };
  const capJson = <T>(name: string, value: T): T | null => {
    if (value === null || JSON.stringify(value).length <= HANDOFF_JSON_CHARACTERS_MAX) return value;
    if (!truncated.includes(name)) truncated.push(name);
    return null;
  };
  noteLength('parents', parents, HANDOFF_PARENTS_MAX);
  noteLength('comments', comments, HANDOFF_COMMENTS_MAX);
  noteLength('attempts', attempts, HANDOFF_ATTEMPTS_MAX);
  // Where the work stands: whoever goes on needs all of it. Earlier ones only tell how it came there.
  const resumable = attempts.findLast(({ checkpoint }) => checkpoint !== null);
  const sentBack = attempts.findLast(({ outcome }) => outcome === 'changes_requested');
  return {
    ...EMPTY_HANDOFF,
    parents: parents.slice(0, HANDOFF_PARENTS_MAX).map((row) => ({
      task_id: formatId('task', row.id),
      title: row.title,
      summary: capText('parents.summary', row.summary),
      result: capJson('parents.result', row.result) as Handoff['parents'][number]['result'],
    })),
    review: capText('review', sentBack?.error ?? null),
    comments: comments.slice(-HANDOFF_COMMENTS_MAX).map((row) => ({
      ...commentOf(row),
      body: capText('comments.body', row.body) ?? '',
    })),
    attempts: attempts.slice(-HANDOFF_ATTEMPTS_MAX).map((row) => ({
      run_id: formatId('run', row.id),
      attempt: row.attempt,
      lane: row.lane,
      worker: row.worker,
      outcome: row.outcome,
      started_at: row.started_at,
      ended_at: row.ended_at,
      summary: capText('attempts.summary', row.summary),
      result: capJson('attempts.result', row.result) as Handoff['attempts'][number]['result'],
      error: capText('attempts.error', row.error),
      checkpoint: (row === resumable
        ? row.checkpoint
        : capJson('attempts.checkpoint', row.checkpoint)) as Handoff['attempts'][number]['checkpoint'],
      metadata: (capJson('attempts.metadata', row.metadata) ?? {}) as Handoff['attempts'][number]['metadata'],
    })),
    messages: messages.map(toldMessageOf),
    truncated,
  };
}
