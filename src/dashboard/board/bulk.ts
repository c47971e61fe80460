/** One action on many cards: what it can be done to, and the requests that say it. Pure. */
import type { BodyOf } from '../../client/index.ts';
import type { Card, TaskStatus } from '../live/card.ts';
import type { Rights } from '../session/session.ts';
import { type BulkAction, TASK_ACTIONS, type TaskAction } from '../task/actions.ts';
import type { Answers, AskField } from '../ui/question.ts';

export interface BulkOffer {
  readonly action: TaskAction & { readonly bulk: BulkAction };
  /** Of the cards those whose status allows it. */
  readonly count: number;
  /** Them. Gathered when it is asked for: of thousands of cards it is not for every drawing. */
  readonly ids: readonly string[];
}

/** What can be done to at least one of them. */
export function offersFor(cards: readonly Card[], may: Rights): readonly BulkOffer[] {
  const idsOf = new Map<TaskStatus, string[]>();
  for (const { id, status } of cards) {
    const ids = idsOf.get(status);
    if (ids === undefined) idsOf.set(status, [id]);
    else ids.push(id);
  }
  return TASK_ACTIONS.flatMap((action) => {
    const { bulk, from } = action;
    if (bulk === undefined || !may[action.right]) return [];
    const count = from.reduce((total, status) => total + (idsOf.get(status)?.length ?? 0), 0);
    if (count === 0) return [];
    return [
      {
        action: { ...action, bulk },
        count,
        get ids() {
          return from.flatMap((status) => idsOf.get(status) ?? []);
        },
      },
    ];
  });
}

/** Of the wire: ids of one operation. */
export const IDS_MAX = 1000;
/** The actions whose events say a reason. */
const WITH_REASON: readonly BulkAction[] = ['cancel', 'assign', 'reclaim', 'delete'];

/** Of the questions of a single task those that can be asked for many. */
export function fieldsOf({ bulk, question }: BulkOffer['action']): readonly AskField[] {
  return (question?.fields ?? []).filter(({ name }) => {
    if (name === 'reason') return WITH_REASON.includes(bulk);
    return (name === 'lane' && bulk === 'assign') || (name === 'run_at' && bulk === 'schedule');
  });
}

/** What is said before: how many of the selected it leaves out, and what it does. */
export function questionOf({ action, count }: BulkOffer, selectedCount: number): string {
  const left = selectedCount - count;
  const leaves =
    left > 0
      ? `${left.toLocaleString()} of the ${selectedCount.toLocaleString()} selected are left out: their status does not allow it.`
      : '';
  return [leaves, action.question?.text ?? ''].filter(Boolean).join(' ');
}

/** As many operations as it takes. */
export function bodiesOf(offer: BulkOffer, answers: Answers): readonly BodyOf<'bulkTasks'>[] {
  const { ids } = offer;
  const { bulk } = offer.action;
  const reason = WITH_REASON.includes(bulk) ? answers['reason'] || undefined : undefined;
  const bodies: BodyOf<'bulkTasks'>[] = [];
  for (let start = 0; start < ids.length; start += IDS_MAX) {
    bodies.push({
      action: bulk,
      ids: ids.slice(start, start + IDS_MAX),
      ...(reason === undefined ? {} : { reason }),
      ...(bulk === 'assign' ? { lane: answers['lane'] || null } : {}),
      ...(bulk === 'schedule' ? { run_at: answers['run_at'] ?? '' } : {}),
    });
  }
  return bodies;
}
