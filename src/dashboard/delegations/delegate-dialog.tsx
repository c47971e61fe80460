/** Hands a goal over as several tasks with one result. Stays open when it is refused. */
import type { FormEvent, ReactNode } from 'react';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { SelectField, TextAreaField, TextField } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { useAct } from '../ui/use-act.ts';
import { delegationOf } from './delegate-draft.ts';

interface DelegateDialogProps {
  readonly onClose: () => void;
  readonly onMade: (delegation: string) => void;
}

const JOINS = [
  { value: 'all', label: 'all of them have ended' },
  { value: 'any', label: 'one of them is done' },
];

export function DelegateDialog({ onClose, onMade }: DelegateDialogProps): ReactNode {
  const client = useClient();
  const { act, isPending, error } = useAct();
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string): string => String(data.get(name) ?? '');
    let made = '';
    const isDone = await act('Delegate', async () => {
      const body = delegationOf({
        goal: text('goal'),
        context: text('context'),
        tasks: text('tasks'),
        join: text('join'),
      });
      const { delegation } = await client.delegations.create(body);
      made = delegation.id;
      return `Delegated as ${made}`;
    });
    if (isDone) onMade(made);
  };
  return (
    <Dialog title="Delegate" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <TextField label="Goal (optional)" name="goal" placeholder="what all of it is for" />
        <TextAreaField label="Context (optional): what every worker has to know" name="context" rows={3} />
        <TextAreaField
          label="Tasks, one “lane: title” a line"
          name="tasks"
          rows={4}
          required
          placeholder={'factory: build the release\nqa: test what is on main'}
        />
        <SelectField label="It is decided when" name="join" options={JOINS} />
        <Problem error={error} />
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            Delegate
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
