/** A subscription as it is typed, and as it is asked for. Pure. */
import type { BodyOf } from '../../client/index.ts';
import { subjectOf } from './delivery-words.ts';

/** '' is the default of each. */
export interface SubscribeDraft {
  readonly subject: string;
  readonly platform: string;
  readonly chat: string;
  readonly thread: string;
  readonly session: string;
  readonly owner: string;
  readonly webhook: string;
  readonly mode: string;
  /** "yes", "no". */
  readonly wake: string;
}

type Body = BodyOf<'putSubscription'>;

const MODES: readonly NonNullable<Body['mode']>[] = ['direct', 'synthesize', 'silent'];

/** Only what was given: the rest keeps what the subscription has. */
export function bodyOf(draft: SubscribeDraft): Body {
  const { task, delegation } = subjectOf(draft.subject);
  const mode = MODES.find((each) => each === draft.mode);
  return {
    platform: draft.platform,
    ...(task === null ? {} : { task_id: task }),
    ...(delegation === null ? {} : { delegation_id: delegation }),
    ...(draft.chat === '' ? {} : { chat_id: draft.chat }),
    ...(draft.thread === '' ? {} : { thread_id: draft.thread }),
    ...(draft.session === '' ? {} : { origin: originOf(draft) }),
    ...(draft.owner === '' ? {} : { owner: draft.owner }),
    ...(draft.webhook === '' ? {} : { webhook: { url: draft.webhook } }),
    ...(mode === undefined ? {} : { mode }),
    ...(draft.wake === '' ? {} : { wake: draft.wake === 'yes' }),
  };
}

/** Deliveries to one session go out one at a time. */
function originOf({ platform, chat, thread, session }: SubscribeDraft): NonNullable<Body['origin']> {
  return {
    platform,
    session_id: session,
    ...(chat === '' ? {} : { chat_id: chat }),
    ...(thread === '' ? {} : { thread_id: thread }),
  };
}
