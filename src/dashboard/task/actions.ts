/**
 * What people may do with a task, by its status: one list for the task's page, the card's menu, drag and drop, bulk actions and the inbox.
 * It mirrors the server's table of transitions (a test compares the two) and only spares people what would be refused; the server decides.
 */
import type { BodyOf, Client } from '../../client/index.ts';
import type { TaskStatus } from '../live/card.ts';
import type { Rights } from '../session/session.ts';
import type { Answers, AskField } from '../ui/question.ts';

export type TaskActionName =
  | 'promote'
  | 'unblock'
  | 'accept'
  | 'request-changes'
  | 'complete'
  | 'reclaim'
  | 'assign'
  | 'schedule'
  | 'reopen'
  | 'archive'
  | 'cancel'
  | 'delete';

export type BulkAction = BodyOf<'bulkTasks'>['action'];

export interface TaskAction {
  readonly name: TaskActionName;
  readonly label: string;
  readonly from: readonly TaskStatus[];
  /** The column that a card dropped there asks for it. */
  readonly target?: TaskStatus;
  readonly right: keyof Rights;
  readonly isDestructive?: boolean;
  /** Asked before it is done. An action that destroys is always asked about. */
  readonly question?: { readonly text: string; readonly fields?: readonly AskField[] };
  /** Offered for many tasks at once. */
  readonly bulk?: BulkAction;
  readonly perform: (client: Client, task: string, answers: Answers) => Promise<unknown>;
}

const UNHELD: readonly TaskStatus[] = ['triage', 'todo', 'scheduled', 'ready', 'blocked', 'review'];
const FINISHED: readonly TaskStatus[] = ['done', 'cancelled'];

const REASON: AskField = { name: 'reason', label: 'Reason (optional)', kind: 'text' };

const given = (answers: Answers, name: string): string | undefined => answers[name] || undefined;

function reasonOf(answers: Answers): { reason?: string } {
  const reason = given(answers, 'reason');
  return reason === undefined ? {} : { reason };
}

export const TASK_ACTIONS: readonly TaskAction[] = [
  {
    name: 'promote',
    label: 'Promote',
    from: ['triage', 'scheduled'],
    target: 'ready',
    right: 'operate',
    bulk: 'promote',
    perform: (client, task) => client.tasks.promote(task),
  },
  {
    name: 'unblock',
    label: 'Unblock',
    from: ['blocked'],
    target: 'ready',
    right: 'operate',
    bulk: 'unblock',
    question: {
      text: 'The next attempt is told the answer.',
      fields: [{ name: 'answer', label: 'Answer (optional)', kind: 'textarea' }],
    },
    perform: (client, task, answers) => {
      const answer = given(answers, 'answer');
      return client.tasks.unblock(task, answer === undefined ? {} : { answer });
    },
  },
  {
    name: 'accept',
    label: 'Accept',
    from: ['review'],
    target: 'done',
    right: 'operate',
    bulk: 'accept',
    perform: (client, task) => client.tasks.accept(task),
  },
  {
    name: 'request-changes',
    label: 'Request changes',
    from: ['review'],
    target: 'ready',
    right: 'operate',
    question: {
      text: 'The work goes back to its lane, with what is to be changed.',
      fields: [{ name: 'reason', label: 'What is to be changed', kind: 'textarea', isRequired: true }],
    },
    perform: (client, task, answers) => client.tasks.requestChanges(task, answers['reason'] ?? ''),
  },
  {
    name: 'complete',
    label: 'Complete',
    from: UNHELD,
    target: 'done',
    right: 'operate',
    question: {
      text: 'Nobody holds it: it is done by hand.',
      fields: [{ name: 'summary', label: 'Summary (optional)', kind: 'textarea' }],
    },
    perform: (client, task, answers) => {
      const summary = given(answers, 'summary');
      return client.tasks.complete(task, summary === undefined ? {} : { summary });
    },
  },
  {
    name: 'reclaim',
    label: 'Take back',
    from: ['running'],
    target: 'ready',
    right: 'operate',
    isDestructive: true,
    bulk: 'reclaim',
    question: {
      text: 'Its holder loses the claim at once; what it does from now on is refused. Another worker may claim it.',
      fields: [REASON],
    },
    perform: (client, task, answers) => client.tasks.reclaim(task, reasonOf(answers)),
  },
  {
    name: 'assign',
    label: 'Assign to a lane',
    from: UNHELD,
    right: 'operate',
    bulk: 'assign',
    question: {
      text: 'Empty: no lane at all.',
      fields: [{ name: 'lane', label: 'Lane', kind: 'text' }, REASON],
    },
    perform: (client, task, answers) =>
      client.tasks.assign(task, { lane: given(answers, 'lane') ?? null, ...reasonOf(answers) }),
  },
  {
    name: 'schedule',
    label: 'Schedule',
    from: UNHELD.filter((status) => status !== 'review'),
    target: 'scheduled',
    right: 'operate',
    bulk: 'schedule',
    question: {
      text: 'It becomes ready then.',
      fields: [{ name: 'run_at', label: 'When', kind: 'datetime', isRequired: true }],
    },
    perform: (client, task, answers) => client.tasks.schedule(task, answers['run_at'] ?? ''),
  },
  {
    name: 'reopen',
    label: 'Reopen',
    from: [...FINISHED, 'archived'],
    target: 'ready',
    right: 'operate',
    bulk: 'reopen',
    perform: (client, task) => client.tasks.reopen(task),
  },
  {
    name: 'archive',
    label: 'Archive',
    from: [...UNHELD, ...FINISHED],
    target: 'archived',
    right: 'operate',
    bulk: 'archive',
    question: { text: 'It is put away and frees its idempotency key. It can be reopened.' },
    perform: (client, task) => client.tasks.archive(task),
  },
  {
    name: 'cancel',
    label: 'Cancel',
    from: [...UNHELD, 'running'],
    target: 'cancelled',
    right: 'operate',
    isDestructive: true,
    bulk: 'cancel',
    question: {
      text: 'A worker that holds it is asked to stop; after 30 seconds the claim is taken.',
      fields: [REASON],
    },
    perform: (client, task, answers) => client.tasks.cancel(task, reasonOf(answers)),
  },
  {
    name: 'delete',
    label: 'Delete for good',
    from: [...UNHELD, ...FINISHED, 'archived'],
    right: 'administer',
    isDestructive: true,
    bulk: 'delete',
    question: { text: 'Its texts, results, runs and output are erased. This cannot be taken back.' },
    perform: (client, task) => client.tasks.delete(task),
  },
];

export function actionsFor(status: TaskStatus, may: Rights): readonly TaskAction[] {
  return TASK_ACTIONS.filter(({ from, right }) => may[right] && from.includes(status));
}

/** What dropping a card of this status on a column means; undefined: it cannot be dropped there. */
export function actionOfDrop(from: TaskStatus, to: TaskStatus, may: Rights): TaskAction | undefined {
  if (from === to) return undefined;
  return actionsFor(from, may).find(({ target }) => target === to);
}
