/** What events of tasks say in one sentence. */
import type { Event } from '../../client/index.ts';
import { numberOf, objectOf, textOf, textsOf, timeOf } from '../live/event-data.ts';
import { progressText } from '../ui/progress-words.ts';
import {
  because,
  counted,
  type EventData,
  type EventKind,
  excerpt,
  lasting,
  plain,
  shortId,
} from './timeline-words.ts';

export type Sentence = (event: Event) => string;
type TaskKind = Extract<EventKind, `task.${string}`>;

function whoOf({ lane, worker }: Event): string {
  const who = [lane, worker].filter((part) => part !== undefined).join('/');
  return who === '' ? '' : ` by ${who}`;
}

function attemptOf({ attempt }: Event): string {
  return attempt === undefined ? '' : ` (attempt ${attempt})`;
}

/** "; next try in 12 s", "; 2 failures in a row". */
function afterFailure(data: EventData): string {
  const delay = numberOf(data['delay_seconds']);
  const failures = numberOf(data['consecutive_failures']);
  const retry =
    delay === null || data['status_after'] !== 'scheduled' ? '' : `; next try in ${lasting(delay)}`;
  return `${failures === null || failures < 2 ? '' : `; ${failures} failures in a row`}${retry}`;
}

/** "last heartbeat 1 min before": the sign of life that the verdict rests on. */
function lastSign({ at, data }: Event): string {
  const { last_heartbeat_at: heartbeat, claimed_at: claimed } = objectOf(data['evidence']);
  const lastMs = timeOf(heartbeat);
  const sinceMs = lastMs ?? timeOf(claimed);
  if (sinceMs === null) return '';
  const before = lasting((Date.parse(at) - sinceMs) / 1000);
  return lastMs === null
    ? `; never a heartbeat since the claim ${before} before`
    : `; last heartbeat ${before} before`;
}

function crashed(event: Event): string {
  const { limit } = objectOf(event.data['evidence']);
  const cause = textOf(event.data['reason']) ?? textOf(limit);
  const said = cause === 'disconnect' ? 'the socket of its worker closed' : 'lease expired';
  return `Crashed: ${said}${lastSign(event)}${afterFailure(event.data)}`;
}

function timedOut(event: Event): string {
  const evidence = objectOf(event.data['evidence']);
  const limit = textOf(event.data['reason']) ?? textOf(evidence['limit']);
  const stuckSeconds = numberOf(evidence['no_progress_seconds']);
  const said =
    limit === 'no_progress'
      ? `no progress${stuckSeconds === null ? '' : ` for ${lasting(stuckSeconds)}`}`
      : 'ran past its maximum runtime';
  return `Timed out: ${said}${lastSign(event)}${afterFailure(event.data)}`;
}

function created({ data, lane }: Event): string {
  const parents = textsOf(data['parents']).length;
  const place = lane === undefined ? ', on no lane' : ` on lane ${lane}`;
  const waits = parents === 0 ? '' : `, waiting for ${counted(parents, 'parent')}`;
  const title = textOf(data['title']);
  return `Created${place}${waits}${title === null ? '' : `: ${excerpt(title)}`}`;
}

function claimed(event: Event): string {
  const { data } = event;
  const lease = numberOf(data['lease_seconds']);
  const what = data['adopted_by_epoch'] === undefined ? 'Claimed' : 'Adopted';
  const review = data['status_before'] === 'review' ? ' for review' : '';
  return `${what}${review}${whoOf(event)}${attemptOf(event)}${lease === null ? '' : `, lease ${lasting(lease)}`}`;
}

function updated({ data }: Event): string {
  const names = [...Object.keys(data).filter((name) => name !== 'changed'), ...textsOf(data['changed'])];
  return names.length === 0 ? 'Changed' : `Changed ${names.map(plain).join(', ')}`;
}

function assigned({ data, lane }: Event): string {
  const from = textOf(data['from_lane']);
  const to = textOf(data['lane']) ?? lane ?? null;
  const target = to === null ? 'no lane' : `lane ${to}`;
  return `Assigned to ${target}${from === null || from === to ? '' : `, from ${from}`}${because(data['reason'])}`;
}

function beat(event: Event): string {
  const { data } = event;
  const progress = numberOf(data['progress']);
  const parts = [
    ...(progress === null ? [] : [`progress ${progressText(progress)}`]),
    ...(data['has_checkpoint'] === true ? ['a checkpoint'] : []),
  ];
  const what = parts.length === 0 ? 'Heartbeat' : `Reported ${parts.join(' and ')}`;
  return `${what}${because(data['note'])}`;
}

function completed(event: Event): string {
  const { data, run_id: runId } = event;
  if (data['accepted'] === true) return 'Accepted: its work stands';
  const byHand = event.actor.type === 'key' && runId !== undefined && event.worker === undefined;
  return `Completed${byHand ? ' by hand' : whoOf(event)}${attemptOf(event)}${because(data['summary'])}`;
}

function reviewRequested(event: Event): string {
  const { data } = event;
  const reviewer = textOf(data['reviewer']);
  const to = reviewer === null ? 'people' : `lane ${reviewer}`;
  if (data['outcome'] !== 'completed') return `Waits for review by ${to} again`;
  return `Handed over for review by ${to}${because(data['summary'])}`;
}

function blocked({ data }: Event): string {
  const kind = textOf(data['kind']);
  const waits = data['status_after'] === 'todo' ? '; waits for its parents' : '';
  return `Blocked${kind === null ? '' : ` (${plain(kind)})`}${because(data['reason'] ?? data['error'])}${waits}`;
}

function released(event: Event): string {
  const takeover = objectOf(objectOf(event.data['evidence'])['takeover']);
  const taker = textOf(takeover['worker']);
  const delay = numberOf(event.data['delay_seconds']);
  const how = taker === null ? whoOf(event) : `: ${taker} took the lane over`;
  return `Released${how}${delay === null ? '' : `; ready again in ${lasting(delay)}`}`;
}

function failed(event: Event): string {
  const kind = textOf(event.data['kind']);
  const shown = kind === null || kind === 'error' ? '' : ` (${plain(kind)})`;
  return `Failed${shown}${attemptOf(event)}${because(event.data['error'])}${afterFailure(event.data)}`;
}

function cancelled({ data }: Event): string {
  const verb = textOf(data['ended_by_verb']);
  const late = verb === 'cancel' ? '; its holder did not answer in time' : '';
  return `Cancelled${because(data['reason'])}${late}`;
}

function cancelRequested({ at, data }: Event): string {
  const deadlineMs = timeOf(data['deadline_at']);
  const grace =
    deadlineMs === null ? '' : `; its holder has ${lasting((deadlineMs - Date.parse(at)) / 1000)}`;
  return `Cancel requested${because(data['reason'])}${grace}`;
}

function moved(what: string): Sentence {
  return ({ data }) => {
    const parents = textsOf(data['parents']).length;
    return `${what}${parents === 0 ? '' : ` (${counted(parents, 'parent')} changed)`}`;
  };
}

function ready({ data }: Event): string {
  const before = textOf(data['status_before']);
  if (before === 'scheduled') return 'Ready: its time has come';
  if (before === 'todo') return 'Ready: its parents are done';
  return 'Ready';
}

function scheduled({ data }: Event): string {
  const at = textOf(data['run_at']);
  return `Scheduled${at === null ? '' : ` for ${at}`}`;
}

export const TASK_SENTENCES: Readonly<Record<TaskKind, Sentence>> = {
  'task.created': created,
  'task.updated': updated,
  'task.assigned': assigned,
  'task.triaged': ({ data }) => {
    const recurrences = numberOf(data['recurrences']);
    return `Sent to triage: blocked ${recurrences ?? 'several'} times in a row for the same reason`;
  },
  'task.todo': moved('Waits for its parents'),
  'task.scheduled': scheduled,
  'task.ready': ready,
  'task.claimed': claimed,
  'task.heartbeat': beat,
  'task.progress': beat,
  'task.completed': completed,
  'task.review_requested': reviewRequested,
  'task.changes_requested': ({ data }) => `Changes requested${because(data['reason'])}`,
  'task.blocked': blocked,
  'task.unblocked': ({ data }) => `Unblocked${because(data['answer'])}`,
  'task.released': released,
  'task.failed': failed,
  'task.crashed': crashed,
  'task.timed_out': timedOut,
  'task.reclaimed': (event) =>
    `Taken back from ${event.worker ?? 'its worker'}${because(event.data['reason'])}`,
  'task.gave_up': ({ data }) => {
    const failures = numberOf(data['failures']);
    return `Gave up${failures === null || failures === 0 ? '' : ` after ${counted(failures, 'failure')}`}${because(data['reason'])}`;
  },
  'task.cancel_requested': cancelRequested,
  'task.cancelled': cancelled,
  'task.reopened': () => 'Reopened',
  'task.archived': () => 'Archived',
  'task.deleted': ({ data }) =>
    data['pruned'] === true
      ? 'Gone, kept as long as the board says'
      : `Deleted for good${because(data['reason'])}`,
  'task.commented': ({ data }) => `Commented${because(data['body'])}`,
  'task.linked': ({ data }) =>
    `Now waits for ${shortId(textOf(data['parent']) ?? '?')}${data['met'] === true ? ', which is done' : ''}`,
  'task.unlinked': ({ data }) => `Waits no more for ${shortId(textOf(data['parent']) ?? '?')}`,
  'task.steered': ({ data }) =>
    `${data['state'] === 'missed' ? 'Steered too late' : 'Steered'}${because(data['text'])}`,
  'task.stranded': ({ data }) => `Stranded: nobody claims it${because(data['detail'] ?? data['reason'])}`,
};
