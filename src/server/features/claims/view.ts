/** Runs and handoffs as the wire shows them. */
import type { Handoff } from '../../../contract/claims.ts';
import { LIMITS } from '../../../contract/constants.ts';
import type { Run } from '../../../contract/runs.ts';
import type { ExcerptCaps } from '../../db/excerpt.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { formatId } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import { commentOf, type ParentRow, type ToldCommentRow, type ToldRow } from '../tasks/service.ts';
import type { AttemptRow } from './store/attempt.ts';
import type { BriefingRow } from './store/briefing.ts';
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
/** A document of a page or two; the whole is in the run. The stores leave out what is longer. */
export const HANDOFF_JSON_CHARACTERS_MAX = 8192;

/** Of the three lists of one handoff: a book, and as much as a model can read. */
const HANDOFF_BYTES_MAX = 512 * 1024;
/** Of all handoffs of one answer: as much as a server takes in one. From seventeen tasks with a past on each has its share. */
const HANDOFFS_BYTES_MAX = LIMITS.batchBodyBytesMax;
/** So many tasks have all their handoff may hold. */
const HANDOFFS_WHOLE_MAX = HANDOFFS_BYTES_MAX / HANDOFF_BYTES_MAX;
/** Of parents and of attempts, however many tasks come with them: enough to see how it went. */
const HANDOFF_ROWS_MIN = 3;
/** Of all handoffs of one answer: as many as make up the same. From twenty-one tasks on each has its share; heartbeats tell the rest. */
const HANDOFFS_MESSAGES_MAX = 2000;

export interface HandoffCaps {
  readonly parents: ExcerptCaps;
  readonly attempts: ExcerptCaps;
  readonly comments: ExcerptCaps;
  readonly messages: number;
}

/** @param tasks How many tasks with a past are handed over in one answer. */
export function handoffCapsOf(tasks: number): HandoffCaps {
  const bytes = Math.min(HANDOFF_BYTES_MAX, Math.floor(HANDOFFS_BYTES_MAX / tasks));
  // A document may have to be unpacked to be found too long, so it is not enough that what is shown shrinks.
  const rowsOf = (most: number): number =>
    Math.max(HANDOFF_ROWS_MIN, Math.min(most, Math.floor((most * HANDOFFS_WHOLE_MAX) / tasks)));
  const of = (rows: number, share: number): ExcerptCaps => ({
    rows,
    textCharacters: HANDOFF_TEXT_CHARACTERS_MAX,
    documentCharacters: HANDOFF_JSON_CHARACTERS_MAX,
    bytes: Math.floor(bytes * share),
  });
  return {
    parents: of(rowsOf(HANDOFF_PARENTS_MAX), 0.5),
    attempts: of(rowsOf(HANDOFF_ATTEMPTS_MAX), 0.25),
    comments: of(HANDOFF_COMMENTS_MAX, 0.25),
    messages: Math.min(LIMITS.messagesMax, Math.floor(HANDOFFS_MESSAGES_MAX / tasks)),
  };
}

export const EMPTY_HANDOFF: Handoff = {
  parents: [],
  comments: [],
  attempts: [],
  review: null,
  delegation: null,
  messages: [],
  truncated: [],
};

/** What is told to a holder: enough to act on, and the id to acknowledge it by. */
export function toldMessageOf({ id, text, at }: ToldRow): Handoff['messages'][number] {
  return { id: formatId('msg', id), text, at };
}

/** As the stores read them: no more of each than the caps allow. */
export interface HandoffParts {
  readonly parents: readonly ParentRow[];
  readonly attempts: readonly AttemptRow[];
  readonly comments: readonly ToldCommentRow[];
  readonly messages: readonly ToldRow[];
  readonly briefing: BriefingRow | null;
}

export function handoffOf(
  { parents, attempts, comments, messages, briefing }: HandoffParts,
  caps: HandoffCaps,
): Handoff {
  const truncated: string[] = [];
  const noteLength = (name: string, list: readonly { readonly found: number }[]): void => {
    if (list.length < (list[0]?.found ?? 0)) truncated.push(name);
  };
  const note = (name: string): null => {
    if (!truncated.includes(name)) truncated.push(name);
    return null;
  };
  const capText = (name: string, text: string | null): string | null => {
    if (text === null || text.length <= HANDOFF_TEXT_CHARACTERS_MAX) return text;
    note(name);
    return excerptOf(text, HANDOFF_TEXT_CHARACTERS_MAX);
  };
  const capJson = <T>(name: string, value: T, isCut: boolean): T | null => (isCut ? note(name) : value);
  noteLength('parents', parents);
  noteLength('comments', comments);
  noteLength('attempts', attempts);
  // There may be more; whoever has fewer to himself has all of them.
  if (caps.messages < LIMITS.messagesMax && messages.length >= caps.messages) truncated.push('messages');
  const sentBack = attempts.find((row) => row.is_sent_back);
  return {
    ...EMPTY_HANDOFF,
    parents: parents.map((row) => ({
      task_id: formatId('task', row.id),
      title: row.title,
      summary: capText('parents.summary', row.summary),
      result: capJson(
        'parents.result',
        row.result,
        row.is_result_cut,
      ) as Handoff['parents'][number]['result'],
    })),
    review: capText('review', sentBack?.error ?? null),
    comments: comments.map((row) => ({ ...commentOf(row), body: capText('comments.body', row.body) ?? '' })),
    attempts: attempts.map((row) => {
      const document = (name: 'result' | 'checkpoint' | 'metadata'): unknown =>
        capJson(`attempts.${name}`, row[name], row.cut.split(' ').includes(name));
      return {
        run_id: formatId('run', row.id),
        attempt: row.attempt,
        lane: row.lane,
        worker: row.worker,
        outcome: row.outcome,
        started_at: row.started_at,
        ended_at: row.ended_at,
        summary: capText('attempts.summary', row.summary),
        result: document('result') as Handoff['attempts'][number]['result'],
        error: capText('attempts.error', row.error),
        // Where the work stands: whoever goes on needs all of it. Earlier ones only tell how it came there.
        checkpoint: (row.is_resumable
          ? row.checkpoint
          : document('checkpoint')) as Handoff['attempts'][number]['checkpoint'],
        metadata: (document('metadata') ?? {}) as Handoff['attempts'][number]['metadata'],
      };
    }),
    delegation: briefing === null ? null : delegationOf(briefing, capText),
    messages: messages.map(toldMessageOf),
    truncated,
  };
}

function delegationOf(
  row: BriefingRow,
  capText: (name: string, text: string | null) => string | null,
): Handoff['delegation'] {
  return {
    id: formatId('deleg', row.delegation_id),
    index: row.place,
    total: row.total,
    delegation_goal: capText('delegation.delegation_goal', row.whole_goal),
    delegation_context: capText('delegation.delegation_context', row.whole_context),
    goal: capText('delegation.goal', row.goal),
    context: capText('delegation.context', row.context),
    toolsets: row.toolsets,
    model: row.model,
  };
}
