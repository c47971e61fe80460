/** What an event says in one sentence, for the timeline of a task and the activity of a board. Pure; a kind that is not here does not compile. */
import type { Event } from '../../client/index.ts';
import { numberOf, objectOf, textOf, textsOf } from '../live/event-data.ts';
import { type Sentence, TASK_SENTENCES } from './timeline-task-sentence.ts';
import { because, counted, type EventKind, excerpt, plain, shortId } from './timeline-words.ts';

type OtherKind = Exclude<EventKind, `task.${string}`>;

const laneOf = ({ lane }: Event): string => `Lane ${lane ?? '?'}`;

function fieldsOf({ data }: Event): string {
  const names = Object.keys(data).map(plain);
  return names.length === 0 ? '' : `: ${names.join(', ')}`;
}

function targetOf({ data, task_id: taskId, delegation_id: delegationId }: Event): string {
  const platform = textOf(data['platform']) ?? 'a gateway';
  const chat = textOf(data['chat_id']);
  const target = data['is_webhook'] === true ? 'a webhook' : `${platform}${chat === null ? '' : ` ${chat}`}`;
  const subject = delegationId ?? taskId;
  return `${target}${subject === undefined ? '' : ` about ${shortId(subject)}`}`;
}

function changedSettings({ data }: Event): string {
  const { paused } = objectOf(data['settings']);
  const names = Object.keys(data).map(plain);
  if (paused === true) return `Board changed (${names.join(', ')}); it is paused`;
  return `Board changed: ${names.join(', ')}`;
}

function resultsOf(event: Event): string {
  const results = event.data['results'];
  if (!Array.isArray(results)) return '';
  const ends = new Map<string, number>();
  for (const each of results) {
    const { outcome, status } = objectOf(each);
    const word = plain(textOf(outcome) ?? textOf(status) ?? 'open');
    ends.set(word, (ends.get(word) ?? 0) + 1);
  }
  return ` with ${counted(results.length, 'result')}: ${[...ends].map(([word, count]) => `${count} ${word}`).join(', ')}`;
}

const OTHER_SENTENCES: Readonly<Record<OtherKind, Sentence>> = {
  'lane.registered': (event) => `${laneOf(event)} registered`,
  'lane.updated': (event) => `${laneOf(event)} changed${fieldsOf(event)}`,
  'lane.online': (event) => {
    const workers = numberOf(event.data['workers']);
    return `${laneOf(event)} came online${workers === null ? '' : ` with ${counted(workers, 'worker')}`}`;
  },
  'lane.offline': (event) => `${laneOf(event)} went offline: no worker was seen any more`,
  'lane.paused': (event) =>
    event.actor.id === 'drain'
      ? `${laneOf(event)} is drained and paused: its last claim has ended`
      : `${laneOf(event)} paused`,
  'lane.resumed': (event) => `${laneOf(event)} resumed`,
  'lane.draining': (event) => `${laneOf(event)} draining: it gets no new work`,
  'lane.taken_over': (event) => {
    const { mode, worker, epoch, claims } = event.data;
    const count = numberOf(claims) ?? 0;
    const taken = count === 0 ? '' : `; ${counted(count, 'claim')} of others: ${textOf(mode) ?? 'unknown'}`;
    return `${laneOf(event)} taken over by ${textOf(worker) ?? event.worker ?? '?'} (epoch ${numberOf(epoch) ?? '?'})${taken}`;
  },
  'lane.deregistered': (event) => `${laneOf(event)} deregistered`,
  'delegation.created': ({ data }) => {
    const goal = textOf(data['goal']);
    const join = textOf(data['join']);
    const tasks = counted(textsOf(data['tasks']).length, 'task');
    return `Delegated ${tasks}${join === null ? '' : ` (join: ${join})`}${goal === null ? '' : `: ${excerpt(goal)}`}`;
  },
  'delegation.completed': (event) =>
    `Delegation ${plain(textOf(event.data['status']) ?? 'completed')}${resultsOf(event)}${because(event.data['reason'])}`,
  'delegation.cancelled': ({ data }) => `Delegation cancelled${because(data['reason'])}`,
  'subscription.created': (event) => `Subscribed ${targetOf(event)}`,
  'subscription.updated': (event) => `Subscription of ${targetOf(event)} changed`,
  'subscription.deleted': (event) => `Unsubscribed ${targetOf(event)}`,
  'delivery.acked': ({ data }) => {
    const attempt = numberOf(data['attempt']);
    return `Outcome delivered${attempt === null || attempt <= 1 ? '' : ` at attempt ${attempt}`}`;
  },
  'delivery.dead': ({ data }) => {
    const failures = numberOf(data['failures']);
    const given = data['is_permanent'] === true ? 'for good' : `after ${counted(failures ?? 0, 'failure')}`;
    return `Delivery given up ${given}${because(data['error'])}`;
  },
  'board.created': ({ data, board }) => `Board ${textOf(data['name']) ?? board} created`,
  'board.updated': changedSettings,
};

const SENTENCES: Readonly<Record<EventKind, Sentence>> = { ...TASK_SENTENCES, ...OTHER_SENTENCES };

/** Every kind there is, in the order of its sentences. */
export const KINDS = Object.keys(SENTENCES) as readonly EventKind[];

/** A newer server may have kinds that this page does not know: they are named as they are. */
export function sentenceOf(event: Event): string {
  const sentence: Sentence | undefined = SENTENCES[event.kind];
  if (sentence === undefined) return plain(event.kind);
  return sentence(event);
}
