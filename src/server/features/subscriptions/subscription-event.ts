import type { ToldKind } from '../../../contract/statuses.ts';
import type { NewEvent } from '../../db/event-log.ts';
import { formatId } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';
import type { NewSubscription, SubscriptionRow } from './store.ts';

type Shown = Pick<
  SubscriptionRow,
  | 'id'
  | 'subject_id'
  | 'is_delegation'
  | 'platform'
  | 'chat_id'
  | 'thread_id'
  | 'mode'
  | 'wake'
  | 'owner'
  | 'webhook_url'
> & { readonly kinds: readonly ToldKind[] | null };

export function shownOf({ id, subject, target, mode, wake, kinds, owner, webhook }: NewSubscription): Shown {
  return {
    id,
    subject_id: subject.id,
    is_delegation: subject.isDelegation,
    platform: target.platform,
    chat_id: target.chatId,
    thread_id: target.threadId,
    mode,
    wake,
    kinds,
    owner,
    webhook_url: webhook?.url ?? null,
  };
}

/** Never with the secret of a webhook. */
export function eventOf(kind: NewEvent['kind'], row: Shown, actor: ActorRef): NewEvent {
  const subject = row.is_delegation ? { delegationId: row.subject_id } : { taskId: row.subject_id };
  return {
    kind,
    ...subject,
    actor,
    data: {
      subscription_id: formatId('sub', row.id),
      platform: row.platform,
      chat_id: row.chat_id,
      thread_id: row.thread_id,
      mode: row.mode,
      wake: row.wake,
      kinds: row.kinds,
      owner: row.owner,
      is_webhook: row.webhook_url !== null,
    },
  };
}
