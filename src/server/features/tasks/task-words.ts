/** What people say about a task, and to whoever holds it: comments and messages, which move nothing. */

import { LIMITS } from '../../../contract/constants.ts';
import type { Message } from '../../../contract/messages.ts';
import { FINISHED_STATUSES } from '../../../contract/statuses.ts';
import type { NewEvent } from '../../db/event-log.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import type { HeldTask } from './held-task.ts';
import { insertComment } from './store/comment.ts';
import { countOpenMessages, insertMessage, markHolderAddressed } from './store/message.ts';
import { tooManyMessages } from './task-problems.ts';

/** As the domain says: what an event carries of a longer text. */
const EVENT_TEXT_CHARACTERS_MAX = 400;

export function eventTextOf(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : excerptOf(text, EVENT_TEXT_CHARACTERS_MAX);
}

/** The caller writes the event, alone or beside that of a move. */
export async function writeComment(
  { tx, board, actor, ids, before }: HeldTask,
  body: string,
): Promise<{ id: Uuid; at: string; event: NewEvent }> {
  const id = ids.next();
  const at = await insertComment(tx, board.id, { id, taskId: before.id, body, author: actor });
  const { lane, attempt } = before;
  const data = { body: eventTextOf(body) };
  return { id, at, event: { kind: 'task.commented', taskId: before.id, lane, attempt, actor, data } };
}

/** Any task takes a message: its holder's now, the next holder's while it waits, nobody's once it has finished. */
export async function steer(held: HeldTask, text: string): Promise<Message> {
  const { tx, board, actor, ids } = held;
  const { id: taskId, status, lane, attempt } = held.before;
  const isMissed = FINISHED_STATUSES.includes(status);
  const open = isMissed ? 0 : await countOpenMessages(tx, board.id, taskId);
  if (open >= LIMITS.messagesMax) throw tooManyMessages();
  const holder = isMissed ? null : await markHolderAddressed(tx, board.id, taskId);
  const message = { id: ids.next(), taskId, text, author: actor, isMissed };
  const at = await insertMessage(tx, board.id, message);
  const shown: Message = {
    id: formatId('msg', message.id),
    text,
    at,
    state: isMissed ? 'missed' : 'queued',
    author: actor,
    run_id: null,
    delivered_at: null,
    acknowledged_at: null,
  };
  const data = { message_id: shown.id, state: shown.state, text: eventTextOf(text) };
  const place = holder === null ? {} : { runId: holder.run_id, worker: holder.worker };
  const event = {
    kind: 'task.steered',
    taskId,
    lane,
    attempt,
    actor,
    data,
    ...place,
  } as const;
  await held.append({ events: [event] });
  return shown;
}
