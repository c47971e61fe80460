import type { OriginBody } from '../../../contract/origins.ts';
import type { ToldKind } from '../../../contract/statuses.ts';
import type { PutSubscriptionBody, SubscribeBody } from '../../../contract/subscriptions.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Subject, Target } from './store.ts';

/** What a request says of a subscription: a target, and whatever it gives of the rest. */
export type Wish = Pick<PutSubscriptionBody, 'user_id' | 'mode' | 'wake' | 'owner' | 'webhook'> &
  Partial<Pick<PutSubscriptionBody, 'origin'>> & { readonly kinds?: readonly ToldKind[] | null | undefined };

/** Null: bound to nobody. */
export function boundOwnerOf(caller: Principal): string | null {
  return caller.kind === 'key' ? caller.owner : null;
}

/** A key that is bound to an owner has nobody told by another one. */
export function ownerOf(caller: Principal, { owner }: Pick<Wish, 'owner'>): string | null {
  const bound = boundOwnerOf(caller);
  if (bound === null || !owner || owner === bound) return owner || bound;
  throw new ProblemError('forbidden', `This key is bound to the owner ${JSON.stringify(bound)}.`);
}

/** What a request says about who is told. */
export interface Telling {
  readonly origin: OriginBody | null;
  readonly subscribe: SubscribeBody | false | null | undefined;
}

/** With what was just made. */
export interface Beginning extends Telling {
  readonly subject: Subject;
}

type Named = Pick<PutSubscriptionBody, 'platform' | 'chat_id' | 'thread_id'> & Wish;

/** Null: nobody is told. */
export function namedBy(caller: Principal, { origin, subscribe }: Telling): Named | null {
  return caller.kind === 'claim' || subscribe === false ? null : (subscribe ?? routeOf(origin));
}

/** Null: nothing can return there. */
function routeOf(origin: OriginBody | null): Named | null {
  if (!origin?.platform || !origin.chat_id) return null;
  const { platform, chat_id, thread_id } = origin;
  return { platform, chat_id, thread_id: thread_id ?? null };
}

export function targetOf(body: Pick<PutSubscriptionBody, 'platform' | 'chat_id' | 'thread_id'>): Target {
  return { platform: body.platform, chatId: body.chat_id ?? '', threadId: body.thread_id ?? '' };
}
