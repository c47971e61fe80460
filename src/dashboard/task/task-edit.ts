/** Editing a task: its fields as text, what is different from the task they were taken from, and what somebody else has changed meanwhile. Pure. */
import type { BodyOf, Task } from '../../client/index.ts';

export const EDITED_FIELDS = [
  'title',
  'body',
  'priority',
  'labels',
  'max_failures',
  'max_runtime_seconds',
  'no_progress_seconds',
] as const;
export type EditedField = (typeof EDITED_FIELDS)[number];

export type Draft = Readonly<Record<EditedField, string>>;
export type Patch = BodyOf<'patchTask'>;

export class DraftError extends Error {
  readonly field: EditedField;

  constructor(field: EditedField, message: string) {
    super(message);
    this.field = field;
  }
}

export function draftOf(task: Task): Draft {
  const labels = Object.entries(task.labels).map(([name, value]) => `${name}: ${value}`);
  return {
    title: task.title,
    body: task.body ?? '',
    priority: String(task.priority),
    labels: labels.join('\n'),
    max_failures: String(task.max_failures),
    max_runtime_seconds: String(task.max_runtime_seconds ?? ''),
    no_progress_seconds: String(task.no_progress_seconds ?? ''),
  };
}

/** Only what is different from `base`: what somebody else changes in other fields stays. Throws DraftError. */
export function patchOf(base: Draft, draft: Draft): Patch {
  const patch: Patch = {};
  for (const field of changedFields(base, draft))
    Object.assign(patch, { [field]: fieldOf(field, draft[field]) });
  return patch;
}

function changedFields(base: Draft, draft: Draft): readonly EditedField[] {
  return EDITED_FIELDS.filter((field) => base[field] !== draft[field]);
}

/** Fields that both this person and somebody else have changed, and not to the same. */
export function conflictsOf(base: Draft, mine: Draft, theirs: Draft): readonly EditedField[] {
  return changedFields(base, mine).filter(
    (field) => theirs[field] !== base[field] && theirs[field] !== mine[field],
  );
}

/** What somebody else has changed comes in where this person has changed nothing. */
export function rebase(base: Draft, mine: Draft, theirs: Draft): Draft {
  const changed = new Set(changedFields(base, mine));
  const kept = EDITED_FIELDS.map((field) => [field, changed.has(field) ? mine[field] : theirs[field]]);
  return Object.fromEntries(kept) as Draft;
}

function fieldOf(field: EditedField, text: string): unknown {
  switch (field) {
    case 'title':
      return required(field, text.trim());
    case 'body':
      return text === '' ? null : text;
    case 'labels':
      return labelsOf(text);
    case 'priority':
    case 'max_failures':
      return wholeNumber(field, required(field, text.trim()));
    case 'max_runtime_seconds':
    case 'no_progress_seconds':
      return text.trim() === '' ? null : wholeNumber(field, text.trim());
  }
}

function required(field: EditedField, text: string): string {
  if (text === '') throw new DraftError(field, 'This must not be empty.');
  return text;
}

function wholeNumber(field: EditedField, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new DraftError(field, 'This must be a whole number.');
  return number;
}

/** One a line: "name: value". The server says which names and values it takes. */
function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels: [string, string][] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [, name = '', value = ''] = /^([^:]*):(.*)$/.exec(line) ?? [];
    if (name.trim() === '')
      throw new DraftError('labels', `"${line.trim()}" is not of the form "name: value".`);
    labels.push([name.trim(), value.trim()]);
  }
  return Object.fromEntries(labels);
}
