/** What will become of a message, by the status of the task, and what has. Pure. */
import type { Message } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';
import { isFinishedStatus } from '../live/statuses.ts';

export type MessageState = Message['state'];

const WILL: Readonly<Record<TaskStatus, string>> = {
  triage: 'Nobody works on it yet: whoever claims it next is told.',
  todo: 'It waits for its parents: whoever claims it then is told.',
  scheduled: 'It waits for its time: whoever claims it then is told.',
  ready: 'Nobody works on it yet: whoever claims it next is told.',
  running: 'Its worker is told at once, and with every heartbeat until it acknowledges.',
  blocked: 'Nobody works on it: whoever claims it after it is unblocked is told.',
  review: 'It waits for review: whoever claims it next, the reviewer too, is told.',
  done: 'It is done: nobody would read it.',
  cancelled: 'It is cancelled: nobody would read it.',
  archived: 'It is archived: nobody would read it.',
};

export function whatWillHappen(status: TaskStatus): string {
  return WILL[status];
}

/** Messages to it are missed. */
export function isOver(status: TaskStatus): boolean {
  return isFinishedStatus(status);
}

export const STATE_WORDS: Readonly<Record<MessageState, string>> = {
  queued: 'Queued',
  delivered: 'Delivered',
  acknowledged: 'Acknowledged',
  missed: 'Missed',
};

/** As it is read out when it comes to it. */
export const STATE_NEWS: Readonly<Record<MessageState, string>> = {
  queued: 'It waits for the worker.',
  delivered: 'The worker was told.',
  acknowledged: 'The worker has taken it up.',
  missed: 'No worker took it up.',
};

export interface Step {
  readonly state: MessageState;
  readonly at: string | null;
}

/** The way of a message so far, with when it came to each state; null: not known. */
export function stepsOf(
  message: Pick<Message, 'state' | 'at' | 'delivered_at' | 'acknowledged_at'>,
): readonly Step[] {
  const steps: Step[] = [{ state: 'queued', at: message.at }];
  const { state, delivered_at: deliveredAt, acknowledged_at: acknowledgedAt } = message;
  if (deliveredAt !== null || state === 'delivered') steps.push({ state: 'delivered', at: deliveredAt });
  if (state === 'acknowledged') steps.push({ state, at: acknowledgedAt });
  if (state === 'missed') steps.push({ state, at: null });
  return steps;
}

/** Faster than a second, so that an answer is seen within one. */
const LOOK_MS = 700;
const LATER_LOOK_MS = 5000;
/** A worker that has not acknowledged by then is told with its heartbeats, which come every 30 s or so. */
export const RECENT_MS = 60_000;

interface Looking {
  readonly status: TaskStatus;
  readonly messages: readonly Pick<Message, 'state'>[];
  /** One of them has changed within the last minute. */
  readonly isRecent: boolean;
  readonly isPaused: boolean;
}

/** How often messages are read again: the log does not tell that one was delivered or acknowledged. null: not at all. */
export function lookEveryMs({ status, messages, isRecent, isPaused }: Looking): number | null {
  if (status !== 'running' || isPaused || !messages.some(isOpen)) return null;
  return isRecent ? LOOK_MS : LATER_LOOK_MS;
}

/** Its state may still change without a word in the log. */
function isOpen({ state }: Pick<Message, 'state'>): boolean {
  return state === 'queued' || state === 'delivered';
}
