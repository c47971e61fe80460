/**
 * What of the log is shown, as it stands in the address. Kinds, lane and task the server chooses by; actor and words are looked for in what
 * it answers. Pure.
 */
import type { Event } from '../../client/index.ts';
import { KINDS, sentenceOf } from '../task/timeline-sentence.ts';
import type { EventKind } from '../task/timeline-words.ts';

export interface ActivityFilter {
  readonly kinds: ReadonlySet<EventKind>;
  readonly lane: string;
  /** An id, or a part of one. */
  readonly task: string;
  readonly actor: string;
  readonly text: string;
  /** A cursor: the log as it was up to there. Empty: what happens now. */
  readonly at: string;
}

export interface KindGroup {
  readonly name: string;
  readonly label: string;
  readonly kinds: readonly EventKind[];
}

const SIGNS_OF_LIFE: readonly EventKind[] = ['task.heartbeat', 'task.progress'];
const WORK: ReadonlySet<EventKind> = new Set<EventKind>([
  'task.claimed',
  'task.completed',
  'task.review_requested',
  'task.changes_requested',
  'task.blocked',
  'task.released',
  'task.failed',
  'task.crashed',
  'task.timed_out',
  'task.reclaimed',
  'task.gave_up',
  'task.cancelled',
]);

const startingWith = (...starts: readonly string[]): readonly EventKind[] =>
  KINDS.filter((kind) => starts.some((start) => kind.startsWith(start)));

/** Together all kinds, each in one of them. */
export const KIND_GROUPS: readonly KindGroup[] = [
  { name: 'work', label: 'Claims and ends', kinds: KINDS.filter((kind) => WORK.has(kind)) },
  {
    name: 'tasks',
    label: 'Changes of tasks',
    kinds: startingWith('task.').filter((kind) => !WORK.has(kind) && !SIGNS_OF_LIFE.includes(kind)),
  },
  { name: 'life', label: 'Signs of life', kinds: SIGNS_OF_LIFE },
  { name: 'lanes', label: 'Lanes', kinds: startingWith('lane.') },
  { name: 'delegations', label: 'Delegations', kinds: startingWith('delegation.') },
  {
    name: 'deliveries',
    label: 'Subscriptions and deliveries',
    kinds: startingWith('subscription.', 'delivery.'),
  },
  { name: 'board', label: 'Board', kinds: startingWith('board.') },
];

/** A worker that only says that it lives would hide everything else. */
const DEFAULT_KINDS = KINDS.filter((kind) => !SIGNS_OF_LIFE.includes(kind));
const ALL = 'all';

function kindsOf(words: string | null): ReadonlySet<EventKind> {
  if (words === null) return new Set(DEFAULT_KINDS);
  const kinds = words.split(',').flatMap((word): readonly EventKind[] => {
    if (word === ALL) return KINDS;
    const group = KIND_GROUPS.find(({ name }) => name === word);
    return group?.kinds ?? KINDS.filter((kind) => kind === word);
  });
  return new Set(kinds);
}

/** null: as it is when nobody says anything. */
function wordsOf(kinds: ReadonlySet<EventKind>): string | null {
  if (kinds.size === KINDS.length) return ALL;
  if (kinds.size === DEFAULT_KINDS.length && DEFAULT_KINDS.every((kind) => kinds.has(kind))) return null;
  return KIND_GROUPS.flatMap((group) => {
    const chosen = group.kinds.filter((kind) => kinds.has(kind));
    return chosen.length === group.kinds.length ? [group.name] : chosen;
  }).join(',');
}

const TEXTS = ['lane', 'task', 'actor', 'text', 'at'] as const;

export function readFilter(parameters: URLSearchParams): ActivityFilter {
  const text = (name: (typeof TEXTS)[number]): string => parameters.get(name)?.trim() ?? '';
  return {
    kinds: kindsOf(parameters.get('kinds')),
    lane: text('lane'),
    task: text('task'),
    actor: text('actor'),
    text: text('text'),
    at: text('at'),
  };
}

export function writeFilter(filter: ActivityFilter): URLSearchParams {
  const parameters = new URLSearchParams();
  const words = wordsOf(filter.kinds);
  if (words !== null) parameters.set('kinds', words);
  for (const name of TEXTS) if (filter[name] !== '') parameters.set(name, filter[name]);
  return parameters;
}

const TASK_ID = /^task_[0-9a-z]{26}$/i;
const isTaskId = (text: string): boolean => TASK_ID.test(text);

/** As the server is asked. */
export interface LogQuery {
  readonly kinds?: string;
  readonly lanes?: string;
  readonly tasks?: string;
}

export function queryOf({ kinds, lane, task }: ActivityFilter): LogQuery {
  return {
    ...(kinds.size === KINDS.length ? {} : { kinds: [...kinds].join(',') }),
    ...(lane === '' ? {} : { lanes: lane }),
    ...(isTaskId(task) ? { tasks: task } : {}),
  };
}

/** What the server would let through. */
export function passesQuery({ kinds, lane, task }: ActivityFilter, event: Event): boolean {
  return (
    kinds.has(event.kind) &&
    (lane === '' || event.lane === lane) &&
    (!isTaskId(task) || event.task_id === task)
  );
}

/** Only the page can tell: it may have to look through much of the log for little. */
export function isSearching({ task, actor, text }: ActivityFilter): boolean {
  return actor !== '' || text !== '' || (task !== '' && !isTaskId(task));
}

/** What the words are looked for in: made once for each event, which may be looked at with every letter that is typed. */
const haystacks = new WeakMap<Event, string>();

function haystackOf(event: Event): string {
  const known = haystacks.get(event);
  if (known !== undefined) return known;
  const made = `${event.kind} ${sentenceOf(event)} ${JSON.stringify(event.data)}`.toLowerCase();
  haystacks.set(event, made);
  return made;
}

/** What the page looks for in what it was answered. Each event is looked at once, however often it is asked about. */
export function searchOf({ task, actor, text }: ActivityFilter): (event: Event) => boolean {
  const [inTask, inActor, inText] = [task.toLowerCase(), actor.toLowerCase(), text.toLowerCase()];
  const has = (place: string, wanted: string): boolean => place.toLowerCase().includes(wanted);
  const passes = (event: Event): boolean =>
    (task === '' || has(event.task_id ?? '', inTask)) &&
    (actor === '' || has(`${event.actor.type} ${event.actor.id} ${event.worker ?? ''}`, inActor)) &&
    (text === '' || haystackOf(event).includes(inText));
  const verdicts = new WeakMap<Event, boolean>();
  return (event) => {
    const known = verdicts.get(event);
    if (known !== undefined) return known;
    const verdict = passes(event);
    verdicts.set(event, verdict);
    return verdict;
  };
}
