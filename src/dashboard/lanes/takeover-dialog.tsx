/** Takes a lane over from its workers. It costs others their claims, so it says in words what each way does. */
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import type { BodyOf, Lane, ReplyOf } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import { Snippet } from '../ui/snippet.tsx';

type Mode = BodyOf<'takeOverLane'>['mode'];
type Taken = ReplyOf<'takeOverLane'>;

const MODES: readonly { readonly mode: Mode; readonly label: string; readonly text: string }[] = [
  {
    mode: 'release',
    label: 'Give their work back',
    text: 'The tasks are ready again at once, for any worker of the lane. What the others still do is refused.',
  },
  {
    mode: 'adopt',
    label: 'Hand their work to the new worker',
    text: 'The claims go on as its own, under the next attempt. Their tokens are shown here, once, for you to hand over.',
  },
  {
    mode: 'expire',
    label: 'Leave it to the leases',
    text: 'For work that must not be begun twice at once: each task stays held until its lease runs out, then counts as crashed and comes back. What the others still do is refused.',
  },
];

interface TakeoverDialogProps {
  readonly lane: Lane;
  readonly running: number;
  readonly onClose: () => void;
}

export function TakeoverDialog({ lane, running, onClose }: TakeoverDialogProps): ReactNode {
  const client = useClient();
  const notify = useNotify();
  const id = useId();
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [taken, setTaken] = useState<Taken | null>(null);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const mode = MODES.find((one) => one.mode === data.get('mode'))?.mode ?? 'release';
    const worker = String(data.get('worker') ?? '').trim();
    setPending(true);
    setError(null);
    try {
      const answer = await client.lanes.takeOver(lane.name, { mode, worker });
      notify.done(`${worker} has taken over ${lane.name}`);
      if (answer.claims.length > 0 || answer.remaining > 0) setTaken(answer);
      else onClose();
    } catch (refused) {
      setError(refused);
    } finally {
      setPending(false);
    }
  };
  if (taken !== null) return <TakenDialog lane={lane.name} taken={taken} onClose={onClose} />;
  return (
    <Dialog title={`Take over ${lane.name}`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <p className="dialog-text">
          The epoch of the lane rises, and its other workers are cut off: {running}{' '}
          {running === 1 ? 'task is' : 'tasks are'} held now. Do this when a worker hangs or was replaced.
        </p>
        <div className="field">
          <label htmlFor={`${id}-worker`}>The worker that takes over</label>
          <input
            id={`${id}-worker`}
            name="worker"
            required
            maxLength={128}
            list={`${id}-workers`}
            autoComplete="off"
          />
          <datalist id={`${id}-workers`}>
            {lane.presence.workers.map(({ worker }) => (
              <option key={worker} value={worker} />
            ))}
          </datalist>
        </div>
        <fieldset className="lanes-modes">
          <legend>What becomes of the work of the others</legend>
          {MODES.map(({ mode, label, text }, at) => (
            <label key={mode}>
              <input type="radio" name="mode" value={mode} defaultChecked={at === 0} />
              <span>
                <strong>{label}</strong> <span className="muted small">({mode})</span>
                <br />
                <span className="small">{text}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <Problem error={error} />
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="danger" disabled={isPending}>
            Take over
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface TakenDialogProps {
  readonly lane: string;
  readonly taken: Taken;
  readonly onClose: () => void;
}

function TakenDialog({ lane, taken, onClose }: TakenDialogProps): ReactNode {
  return (
    <Dialog title={`${lane} was taken over`} onClose={onClose} isWide>
      {taken.remaining > 0 && (
        <p className="dialog-text">
          {taken.remaining} claims were too many for one takeover and are as before: take over again for them.
        </p>
      )}
      {taken.claims.length > 0 && (
        <>
          <p className="dialog-text">
            {taken.claims.length} adopted, with the tokens that speak for them: shown this once. Give them to
            the worker before their leases run out.
          </p>
          <Snippet title="Adopted claims" text={JSON.stringify(taken.claims, null, 2)} />
        </>
      )}
      <div className="dialog-buttons">
        <Button tone="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}
