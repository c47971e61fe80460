/**
 * The settings of a board to be changed. What somebody else changes meanwhile is shown at once where this person has entered nothing, and
 * beside what they have entered where they have.
 */
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import type { Board } from '../../../client/index.ts';
import { Button } from '../../ui/button.tsx';
import { Problem } from '../../ui/problem.tsx';
import { SettingField } from './setting-field.tsx';
import { SETTING_GROUPS } from './settings.ts';
import {
  changedSince,
  type Entries,
  type FieldState,
  fieldsOf,
  unsavedOf,
  withEntry,
  withEntryKept,
  withoutEntry,
} from './settings-draft.ts';
import { useSettingsSave } from './use-settings-save.ts';

interface SettingsFormProps {
  /** As it is now. */
  readonly board: Board;
  readonly entries: Entries;
  readonly onEntries: (change: (before: Entries) => Entries) => void;
  readonly reread: () => Promise<unknown>;
  readonly onLeave: () => void;
  readonly onSaved: () => void;
}

export function SettingsForm({
  board,
  entries,
  onEntries,
  reread,
  onLeave,
  onSaved,
}: SettingsFormProps): ReactNode {
  const [opened] = useState(board);
  const form = useRef<HTMLFormElement>(null);
  const fields = fieldsOf(board, entries);
  const saving = useSettingsSave({ board, fields, reread, onSaved });
  const { refusals } = saving;
  useEffect(() => {
    if (refusals === 0) return;
    const find = (selector: string) => form.current?.querySelector<HTMLElement>(selector);
    (find('[aria-invalid="true"]') ?? find('[type="submit"]'))?.focus();
  }, [refusals]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    void saving.save();
  };
  return (
    <form ref={form} className="board-settings" onSubmit={submit} aria-busy={saving.isPending} noValidate>
      <ChangedByOthers fields={changedSince(opened, fields)} />
      {Object.entries(SETTING_GROUPS).map(([group, heading]) => (
        <fieldset key={group} className="board-settings-group">
          <legend>{heading}</legend>
          {fields
            .filter(({ setting }) => setting.group === group)
            .map((field) => (
              <SettingField
                key={field.setting.pointer}
                field={field}
                problem={saving.problemOf(field)}
                onEnter={(text) => {
                  // It would not be part of what is being saved, and gone with the form.
                  if (saving.isPending) return;
                  saving.forget(field.setting.pointer);
                  onEntries((before) => withEntry(before, field, text));
                }}
                onUseTheirs={() => {
                  saving.forget(field.setting.pointer);
                  onEntries((before) => withoutEntry(before, field));
                }}
                onKeepMine={() => onEntries((before) => withEntryKept(before, field))}
              />
            ))}
        </fieldset>
      ))}
      {saving.isOutdated && (
        <p className="warning" role="alert">
          The board has changed since you saw it: this was not saved. Above is what it is now; look at it, and
          save again.
        </p>
      )}
      <Problem error={saving.error} />
      <p className="muted small board-settings-unsaved">{unsavedText(fields)}</p>
      <div className="dialog-buttons">
        <Button onClick={onLeave}>Keep as it is</Button>
        {/* Not disabled: the focus stays where it is, and with it what escape does. */}
        <Button type="submit" tone="primary" aria-disabled={saving.isPending}>
          {saving.isPending ? 'Saving …' : 'Save'}
        </Button>
      </div>
    </form>
  );
}

function labelsOf(fields: readonly FieldState[]): string {
  return fields.map(({ setting }) => setting.label).join(', ');
}

function unsavedText(fields: readonly FieldState[]): string {
  const unsaved = unsavedOf(fields);
  return unsaved.length === 0 ? 'Nothing is changed yet.' : `Not saved yet: ${labelsOf(unsaved)}`;
}

/** There from the start: only what changes in it is read out. */
function ChangedByOthers({ fields }: { readonly fields: readonly FieldState[] }): ReactNode {
  return (
    <div role="status">
      {fields.length > 0 && (
        <p className="warning">
          Somebody else has changed the board since you opened this: {labelsOf(fields)}. What you have entered
          is as you left it.
        </p>
      )}
    </div>
  );
}
