/** Tasks and delegations as lists and answers show them to a model: what it needs to choose, and no more. Pure. */
import { z } from 'zod';
import type { Delegation } from '../../../contract/delegations.ts';
import {
  DELEGATION_STATUSES,
  type TaskStatus,
  TaskStatus as TaskStatusSchema,
} from '../../../contract/statuses.ts';
import type { Task } from '../../../contract/tasks.ts';
import { excerptOf } from '../../kernel/excerpt.ts';
import { inShorterForms, type ToolDocument } from './results.ts';

/** Of a summary or title in a list: a line. */
const LINE_CHARACTERS = 200;

export const TaskLine = z.looseObject({
  id: z.string(),
  title: z.string(),
  status: TaskStatusSchema,
  lane: z.string().nullable(),
});

export function taskLineOf(task: Task) {
  const { id, status, lane, priority, attempt, claim, blocked, unmet_parents: unmetParents } = task;
  return {
    id,
    title: lineOf(task.title),
    status,
    lane,
    priority,
    attempt,
    updated_at: task.updated_at,
    ...(claim === null ? {} : { run_id: claim.run_id, worker: claim.worker }),
    ...(blocked === null ? {} : { blocked: { ...blocked, reason: lineOf(blocked.reason ?? '') } }),
    ...(unmetParents === 0 ? {} : { waits_for: unmetParents }),
    ...(task.summary === null ? {} : { summary: lineOf(task.summary) }),
    ...(task.delegation_id === null ? {} : { delegation_id: task.delegation_id }),
  };
}

/** What of a line stays when there is not room for all of all: those that are asked about by their ids must all be answered. */
export const TaskMark = z.looseObject({ id: z.string(), status: TaskStatusSchema });

/** Of a title that only reminds of what was asked for. */
const MARK_CHARACTERS = 40;

function taskMarkOf({ id, status, title, unmet_parents: unmetParents }: Task) {
  return {
    id,
    status,
    title: lineOf(title, MARK_CHARACTERS),
    ...(unmetParents === 0 ? {} : { waits_for: unmetParents }),
  };
}

const bareMarkOf = ({ id, status }: Task) => ({ id, status });

function shortLineOf(task: Task) {
  const { summary, blocked } = task;
  return {
    ...taskMarkOf(task),
    lane: task.lane,
    ...(blocked === null ? {} : { blocked: { kind: blocked.kind } }),
    ...(summary === null ? {} : { summary: lineOf(summary, MARK_CHARACTERS) }),
  };
}

/** Every one of them, with as much as there is room for. */
export function taskLinesOf(tasks: readonly Task[], bytesMax: number): ToolDocument {
  const forms = [taskLineOf, shortLineOf, taskMarkOf, bareMarkOf];
  const { lines, isShortened } = inShorterForms(tasks, forms, bytesMax);
  return { tasks: lines, ...(isShortened ? { truncated: true } : {}) };
}

/** Of tasks that whoever asks has just described itself. */
export function taskMarksOf(tasks: readonly Task[], bytesMax: number): ToolDocument {
  const { lines } = inShorterForms(tasks, [taskMarkOf, bareMarkOf], bytesMax);
  return { tasks: lines };
}

export const DelegationLine = z.looseObject({
  id: z.string(),
  status: z.enum(DELEGATION_STATUSES),
  tasks: z.array(z.string()),
});

export function delegationLineOf(delegation: Delegation) {
  const { id, status, goal, join, tasks, reason } = delegation;
  return {
    id,
    status,
    goal: goal === null ? null : lineOf(goal),
    join,
    tasks,
    created_at: delegation.created_at,
    completed_at: delegation.completed_at,
    deadline_at: delegation.deadline_at,
    ...(reason === null ? {} : { reason: lineOf(reason) }),
  };
}

/** Nothing more will come of it unless somebody acts; as a delegation sees its children (2-domain: a child has ended). */
const ENDED: ReadonlySet<TaskStatus> = new Set<TaskStatus>(['done', 'cancelled', 'archived', 'blocked']);

export function hasEnded({ status }: Pick<Task, 'status'>): boolean {
  return ENDED.has(status);
}

export function lineOf(text: string, charactersMax: number = LINE_CHARACTERS): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > charactersMax ? `${excerptOf(line, charactersMax)}…` : line;
}
