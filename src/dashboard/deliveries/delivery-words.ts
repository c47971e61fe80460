/** Deliveries and subscriptions in words and figures. Pure. */
import type { Delivery, Subscription } from '../../client/index.ts';

type Status = Delivery['status'];

export const DELIVERY_STATUS_LABELS: Readonly<Record<Status, string>> = {
  pending: 'Pending',
  synthesizing: 'Synthesizing',
  leased: 'Leased',
  acked: 'Acked',
  dead: 'Dead',
};

export const DELIVERY_STATUSES = Object.keys(DELIVERY_STATUS_LABELS) as readonly Status[];
/** Those that come to an end: there are not many of them, so they can be counted. */
export const OPEN_STATUSES = [
  'pending',
  'synthesizing',
  'leased',
  'dead',
] as const satisfies readonly Status[];
type OpenStatus = (typeof OPEN_STATUSES)[number];

/** Of a page of open deliveries; "12+" where the page was not all of them. */
export function countsOf(
  deliveries: readonly Pick<Delivery, 'status'>[],
  isMore: boolean,
): Readonly<Record<OpenStatus, number | string>> {
  const count = (wanted: OpenStatus): number | string => {
    const known = deliveries.filter(({ status }) => status === wanted).length;
    return isMore ? `${known}+` : known;
  };
  return {
    pending: count('pending'),
    synthesizing: count('synthesizing'),
    leased: count('leased'),
    dead: count('dead'),
  };
}

type Target = Pick<Subscription, 'platform' | 'chat_id' | 'thread_id'>;

/** "discord 42 / thread 7"; of a webhook the platform alone. */
export function targetText({ platform, chat_id: chat, thread_id: thread }: Target): string {
  const place = chat === '' ? platform : `${platform} ${chat}`;
  return thread === '' ? place : `${place} / thread ${thread}`;
}

/** As people name it: where the path may hold a secret, the host says enough. */
export function webhookHost({ webhook }: Pick<Subscription, 'webhook'>): string | null {
  if (webhook === null) return null;
  return URL.canParse(webhook.url) ? new URL(webhook.url).host : webhook.url;
}

/** What the server sends again when it is asked to: the dead, and what pauses after a failure. */
export function canRetry(
  { status, due_at: dueAt }: Pick<Delivery, 'status' | 'due_at'>,
  nowMs: number,
): boolean {
  return status === 'dead' || (status === 'pending' && Date.parse(dueAt) > nowMs);
}

export interface Subject {
  readonly task: string | null;
  readonly delegation: string | null;
}

/** What a person types or a link names: `deleg_…` is a delegation, anything else a task by its id or external_ref. */
export function subjectOf(text: string): Subject {
  const subject = text.trim();
  if (subject === '') return { task: null, delegation: null };
  return subject.startsWith('deleg_')
    ? { task: null, delegation: subject }
    : { task: subject, delegation: null };
}
