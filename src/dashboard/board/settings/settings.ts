/**
 * The settings of a board, as the form shows them. Each goes by its place in what `patchBoard` takes, which is what the server names in a
 * problem, too. The type asks for all that a board has; test/dashboard/every-action.test.ts asks for all that can be set. Pure.
 */
import type { Board } from '../../../client/index.ts';
import { objectOf } from '../../live/event-data.ts';

type Settings = Board['settings'];

/** A JSON pointer. */
export type SettingPointer =
  | '/title'
  | '/description'
  | `/settings/${Exclude<keyof Settings, 'retention'>}`
  | `/settings/retention/${keyof Settings['retention']}`;

export type SettingValue = string | number | boolean | null | readonly string[];

export type SettingKind = 'line' | 'prose' | 'lane' | 'switch' | 'count' | 'time' | 'lines';

interface SettingFacts {
  readonly label: string;
  readonly hint: string;
  readonly group: SettingGroup;
  readonly kind: SettingKind;
  /** Of a new board. */
  readonly initial: SettingValue;
  /** What null means; of a setting that may be null. */
  readonly none?: string;
  /** The least and the most; of a time in seconds. */
  readonly range?: readonly [least: number, most: number];
  /** Of a time to keep: what goes when it is over. */
  readonly loses?: string;
}

export interface Setting extends SettingFacts {
  readonly pointer: SettingPointer;
}

/** In their order. */
export const SETTING_GROUPS = {
  board: 'The board',
  work: 'Work',
  returns: 'What is told to whom',
  history: 'What is kept, and for how long',
} as const;
export type SettingGroup = keyof typeof SETTING_GROUPS;

const DAY_SECONDS = 86_400;
/** The server's own bound: ten years. */
const KEPT_SECONDS_MAX = 10 * 366 * DAY_SECONDS;

function keep(label: string, hint: string, loses: string): SettingFacts {
  const range = [1, KEPT_SECONDS_MAX] as const;
  return { label, hint, loses, range, group: 'history', kind: 'time', initial: null, none: 'for ever' };
}

const FACTS: Readonly<Record<SettingPointer, SettingFacts>> = {
  '/title': {
    label: 'Title',
    hint: 'What people call it.',
    group: 'board',
    kind: 'line',
    initial: null,
    none: 'its name',
  },
  '/description': {
    label: 'Description',
    hint: 'What it is for.',
    group: 'board',
    kind: 'prose',
    initial: null,
    none: 'none',
  },
  '/settings/paused': {
    label: 'Paused',
    hint: 'No task is handed out. What runs goes on.',
    group: 'board',
    kind: 'switch',
    initial: false,
  },
  '/settings/stranded_after_seconds': {
    label: 'Stranded after',
    hint: 'A ready task that nobody has claimed for so long needs a person.',
    group: 'work',
    kind: 'time',
    initial: 300,
    range: [1, 30 * DAY_SECONDS],
  },
  '/settings/delegation_capacity': {
    label: 'Delegations at once',
    hint: 'Running delegations of one capacity key.',
    group: 'work',
    kind: 'count',
    initial: 3,
    range: [1, 100],
  },
  '/settings/default_owner': {
    label: 'Owner of deliveries',
    hint: 'Whose gateway delivers what names no owner. Empty: nobody.',
    group: 'returns',
    kind: 'line',
    initial: null,
    none: 'nobody',
  },
  '/settings/synthesizer_lane': {
    label: 'Lane that writes replies',
    hint: 'Its workers make replies of outcomes. Empty: nobody does.',
    group: 'returns',
    kind: 'lane',
    initial: null,
    none: 'nobody',
  },
  '/settings/synthesize_platforms': {
    label: 'Platforms that get a reply',
    hint: 'One a line. Subscriptions there are for a reply rather than for the plain text, unless they say so.',
    group: 'returns',
    kind: 'lines',
    initial: ['telegram'],
  },
  '/settings/retention/events_seconds': keep(
    'Keep events',
    'The log of the board. Who follows it and was away for longer begins anew.',
    'events of the log',
  ),
  '/settings/retention/finished_tasks_seconds': keep(
    'Keep finished tasks',
    'Since they were done, cancelled or archived, unless something that goes on needs them.',
    'finished tasks, with their runs, comments, messages, output, links and subscriptions',
  ),
  '/settings/retention/runs_seconds': keep(
    'Keep runs',
    'Since their end. The latest of a task stays, and the one whose work is under review.',
    'runs, but for the latest of each task',
  ),
  '/settings/retention/output_seconds': keep(
    'Keep output',
    'Of tasks that nobody holds, since their last line.',
    'output of tasks that nobody holds',
  ),
  '/settings/retention/deliveries_seconds': keep(
    'Keep deliveries',
    'Since they were acknowledged or given up.',
    'deliveries that are over',
  ),
  '/settings/retention/messages_seconds': keep(
    'Keep messages of sessions',
    'What conversations were told. Keep deliveries as long: who is shown a message must see its delivery.',
    'messages of sessions: what they were told',
  ),
};

export const SETTINGS: readonly Setting[] = (Object.entries(FACTS) as [SettingPointer, SettingFacts][]).map(
  ([pointer, facts]) => ({ pointer, ...facts }),
);

export function namesIn(pointer: string): readonly string[] {
  return pointer.slice(1).split('/');
}

/** A server of before may not know the setting: then it is as on a new board. */
export function valueIn(board: Board, { pointer, initial }: Setting): SettingValue {
  let value: unknown = board;
  for (const name of namesIn(pointer)) value = objectOf(value)[name];
  return value === undefined ? initial : (value as SettingValue);
}
