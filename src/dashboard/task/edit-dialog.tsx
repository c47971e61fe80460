/**
 * Changes fields of the task, against the version that was read when the dialog opened. Where somebody else was faster, both are shown:
 * fields that only they have changed are taken over, of the others the person chooses.
 */
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { LanekeeperError, type Task } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import {
  conflictsOf,
  type Draft,
  DraftError,
  draftOf,
  EDITED_FIELDS,
  type EditedField,
  patchOf,
  rebase,
} from './task-edit.ts';

interface EditDialogProps {
  readonly task: Task;
  readonly onClose: () => void;
}

const LABELS: Readonly<Record<EditedField, string>> = {
  title: 'Title',
  body: 'Body',
  priority: 'Priority',
  labels: 'Labels (one a line, "name: value")',
  max_failures: 'Failures in a row until it is given up',
  max_runtime_seconds: 'May run for (seconds; empty: no limit)',
  no_progress_seconds: 'Without progress for (seconds; empty: no limit)',
};

const LONG: ReadonlySet<EditedField> = new Set(['body', 'labels']);
const NUMBERS: ReadonlySet<EditedField> = new Set([
  'priority',
  'max_failures',
  'max_runtime_seconds',
  'no_progress_seconds',
]);

interface Edit {
  /** The task as the draft was made from it. */
  readonly task: Task;
  readonly draft: Draft;
  /** What somebody else has written where this person has changed something, too. */
  readonly theirs: Draft | null;
  readonly conflicts: readonly EditedField[];
}

export function EditDialog({ task, onClose }: EditDialogProps): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const [edit, setEdit] = useState<Edit>(() => ({ task, draft: draftOf(task), theirs: null, conflicts: [] }));
  const [error, setError] = useState<unknown>(null);
  const [isPending, setPending] = useState(false);
  const set = (field: EditedField, value: string): void =>
    setEdit((before) => ({ ...before, draft: { ...before.draft, [field]: value } }));
  const save = async (): Promise<void> => {
    setError(null);
    setPending(true);
    try {
      const patch = patchOf(draftOf(edit.task), edit.draft);
      if (Object.keys(patch).length > 0)
        await client.tasks.patch(edit.task.id, patch, { ifVersion: edit.task.version });
      notify.done(`Saved: ${edit.draft.title}`);
      onClose();
    } catch (refused) {
      setError(refused);
      if (isChanged(refused)) setEdit(rebased(edit, (await client.tasks.get(edit.task.id)).task));
      else if (!(refused instanceof DraftError)) notify.problem('Edit', refused);
    } finally {
      setPending(false);
    }
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save().catch(setError);
  };
  return (
    <Dialog title="Edit the task" onClose={onClose} isWide>
      <form onSubmit={submit} noValidate>
        {EDITED_FIELDS.map((field) => (
          <EditField
            key={field}
            field={field}
            value={edit.draft[field]}
            theirs={edit.conflicts.includes(field) ? (edit.theirs?.[field] ?? null) : null}
            error={error instanceof DraftError && error.field === field ? error.message : null}
            onChange={(value) => set(field, value)}
          />
        ))}
        {isChanged(error) && (
          <p className="warning" role="alert">
            Somebody else has changed the task meanwhile (it is version {edit.task.version} now).{' '}
            {edit.conflicts.length > 0
              ? 'Where you both changed the same, theirs is shown beside yours. Save again to write yours.'
              : 'What they changed is taken over above. Save again.'}
          </p>
        )}
        {!isChanged(error) && !(error instanceof DraftError) && <Problem error={error} />}
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

const isChanged = (error: unknown): boolean =>
  error instanceof LanekeeperError && error.code === 'version_mismatch';

function rebased({ task, draft }: Edit, now: Task): Edit {
  const base = draftOf(task);
  const theirs = draftOf(now);
  const conflicts = conflictsOf(base, draft, theirs);
  return { task: now, draft: rebase(base, draft, theirs), theirs, conflicts };
}

interface EditFieldProps {
  readonly field: EditedField;
  readonly value: string;
  readonly theirs: string | null;
  readonly error: string | null;
  readonly onChange: (value: string) => void;
}

function EditField({ field, value, theirs, error, onChange }: EditFieldProps): ReactNode {
  const id = useId();
  const common = {
    id,
    name: field,
    value,
    'aria-invalid': error !== null,
    'aria-describedby': error === null ? undefined : `${id}-error`,
  };
  return (
    <div className="field">
      <label htmlFor={id}>{LABELS[field]}</label>
      {LONG.has(field) ? (
        <textarea
          {...common}
          rows={field === 'body' ? 8 : 3}
          onChange={(event) => onChange(event.target.value)}
        />
      ) : (
        <input
          {...common}
          inputMode={NUMBERS.has(field) ? 'numeric' : undefined}
          autoComplete="off"
          onChange={(event) => onChange(event.target.value)}
        />
      )}
      {error !== null && (
        <p id={`${id}-error`} className="problem" role="alert">
          {error}
        </p>
      )}
      {theirs !== null && theirs !== value && (
        <div className="theirs">
          <span className="muted">Theirs:</span>{' '}
          <span className="wrap">{theirs === '' ? '(empty)' : theirs}</span>
          <Button size="small" onClick={() => onChange(theirs)}>
            Use theirs
          </Button>
        </div>
      )}
    </div>
  );
}
