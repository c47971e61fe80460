/** Creates a task. What was entered stays until the server has taken it; sent twice it is one task. */
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { useBoardView, useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import { bodyOf, type Entered } from './new-task-draft.ts';

const NAMES = ['title', 'lane', 'body', 'priority', 'labels'] as const satisfies (keyof Entered)[];

function enteredIn(form: HTMLFormElement): Entered {
  const data = new FormData(form);
  const read = (name: keyof Entered): string => {
    const value = data.get(name);
    return typeof value === 'string' ? value : '';
  };
  return {
    title: read(NAMES[0]),
    lane: read(NAMES[1]),
    body: read(NAMES[2]),
    priority: read(NAMES[3]),
    labels: read(NAMES[4]),
  };
}

/** crypto.randomUUID is not there on plain HTTP; this is. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `dashboard-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

export function NewTaskDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const id = useId();
  const [key] = useState(newKey);
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    setPending(true);
    setError(null);
    try {
      const { task } = await client.tasks.create(bodyOf(enteredIn(event.currentTarget), key));
      notify.done(`Created: ${task.title}`);
      onClose();
    } catch (refused) {
      setError(refused);
      setPending(false);
    }
  };
  return (
    <Dialog title="New task" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <Fields id={id} />
        <Problem error={error} />
        <div className="dialog-buttons">
          <Button onClick={onClose}>Not now</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            {isPending ? 'Creating …' : 'Create task'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Fields({ id }: { readonly id: string }): ReactNode {
  const { lanes } = useBoardView();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}-title`}>Title</label>
        <input id={`${id}-title`} name="title" required maxLength={500} autoComplete="off" />
      </div>
      <div className="field">
        <label htmlFor={`${id}-lane`}>Lane (optional)</label>
        <input id={`${id}-lane`} name="lane" list={`${id}-lanes`} autoComplete="off" />
        <datalist id={`${id}-lanes`}>
          {[...lanes.keys()].map((lane) => (
            <option key={lane} value={lane} />
          ))}
        </datalist>
      </div>
      <div className="field">
        <label htmlFor={`${id}-body`}>What is to be done (optional)</label>
        <textarea id={`${id}-body`} name="body" rows={5} />
      </div>
      <div className="board-new-row">
        <div className="field">
          <label htmlFor={`${id}-priority`}>Priority</label>
          <input id={`${id}-priority`} name="priority" type="number" step={1} placeholder="0" />
        </div>
        <div className="field">
          <label htmlFor={`${id}-labels`}>Labels</label>
          <input id={`${id}-labels`} name="labels" placeholder="team=web, urgent=yes" autoComplete="off" />
        </div>
      </div>
    </>
  );
}
