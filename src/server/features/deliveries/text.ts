/** What is told of an outcome, as text: of a task what it came to, of a delegation the block that each of its results stands in. */
import type { DelegationResult } from '../../../contract/delegations.ts';
import type { EventKind } from '../../../contract/statuses.ts';
import { excerptOf } from '../../kernel/excerpt.ts';

/** Far above a message of any platform; gateways cut by their own rules. */
const TEXT_CHARACTERS_MAX = 32_000;
/** Of one document shown in a text. */
const DOCUMENT_CHARACTERS_MAX = 4000;

export interface ToldTask {
  readonly kind: EventKind;
  readonly id: string;
  readonly title: string;
  readonly lane: string | null;
  readonly summary: string | null;
  readonly result: unknown;
  /** An error, or what it is blocked for. */
  readonly reason: string | null;
  readonly blockKind: string | null;
  readonly reviewer: string | null;
}

const HEADLINES: Readonly<Partial<Record<EventKind, string>>> = {
  'task.completed': 'Completed',
  'task.review_requested': 'Ready for review',
  'task.blocked': 'Blocked',
  'task.gave_up': 'Gave up',
  'task.cancelled': 'Cancelled',
};

export function textOfTask(task: ToldTask): string {
  const headline = HEADLINES[task.kind] ?? task.kind;
  const kind = task.kind === 'task.blocked' && task.blockKind !== null ? ` (${task.blockKind})` : '';
  const parts = [
    `${headline}${kind}: ${task.title}`,
    factsOf({ Task: task.id, Lane: task.lane, Reviewer: task.reviewer }),
    task.reason,
    task.summary,
    documentOf('Result', task.result),
  ];
  return excerptOf(joined(parts), TEXT_CHARACTERS_MAX);
}

export interface ToldDelegation {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly goal: string | null;
  readonly context: string | null;
  readonly results: readonly DelegationResult[];
}

export function textOfDelegation(delegation: ToldDelegation): string {
  const { results } = delegation;
  const done = results.filter(({ status }) => status === 'done').length;
  const parts = [
    `Delegation ${delegation.status}: ${done} of ${results.length} done`,
    factsOf({ Delegation: delegation.id, Reason: delegation.reason }),
    labelled('Goal', delegation.goal),
    labelled('Context', delegation.context),
    ...results.map((result) => blockOf(result, results.length)),
  ];
  return excerptOf(joined(parts), TEXT_CHARACTERS_MAX);
}

/** Understandable by itself: what was asked, by whom it was done, and what came of it. */
function blockOf(result: DelegationResult, count: number): string {
  const number = count === 1 ? '' : `TASK ${result.index + 1}/${count}: `;
  const outcome = result.outcome === null || result.outcome === 'completed' ? '' : `, ${result.outcome}`;
  return joined([
    `--- ${number}${result.title}`,
    factsOf({
      Status: `${result.status}${outcome}`,
      Lane: result.lane,
      Model: result.model,
      Toolsets: result.toolsets?.join(', ') ?? null,
    }),
    labelled('Goal', result.goal),
    labelled('Context', result.context),
    labelled('Error', result.error),
    result.summary,
    documentOf('Result', result.result),
    result.status === 'done' ? null : labelled('Last output', result.output_preview),
    result.truncated.length === 0
      ? null
      : `(Cut short: ${result.truncated.join(', ')}. Task ${result.task_id} has all of it.)`,
  ]);
}

function joined(parts: readonly (string | null)[]): string {
  return parts.filter((part) => part !== null && part !== '').join('\n\n');
}

function factsOf(facts: Readonly<Record<string, string | null>>): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}

function labelled(label: string, text: string | null): string | null {
  return text === null || text === '' ? null : `${label}: ${text}`;
}

/** A text as it is, anything else as JSON. */
function documentOf(label: string, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  return `${label}:\n${excerptOf(text, DOCUMENT_CHARACTERS_MAX)}`;
}
