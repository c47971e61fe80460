/**
 * Registers a lane or changes one. It stays open when the server refuses, with what was entered and why. A change goes out only for the
 * version that the person has seen; where somebody was faster, what it is now can be loaded.
 */
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { type Lane, LanekeeperError } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import {
  CLAIM_MODES,
  type LaneEntries,
  labelsText,
  laneChange,
  NUMBER_FIELDS,
  STATUS_MUTATIONS,
} from './lane-form.ts';

interface LaneFormDialogProps {
  /** undefined: a new one. */
  readonly lane?: Lane;
  /** Of a new lane, where a task already names it. */
  readonly initialName?: string;
  readonly onClose: () => void;
  readonly onSaved: (lane: string) => void;
}

export function LaneFormDialog({ lane, initialName = '', onClose, onSaved }: LaneFormDialogProps): ReactNode {
  const client = useClient();
  const notify = useNotify();
  /** What the person has seen: a change is made against this. */
  const [base, setBase] = useState(lane);
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);

  const attempt = async (act: () => Promise<void>): Promise<void> => {
    setPending(true);
    setError(null);
    try {
      await act();
    } catch (refused) {
      setError(refused);
    } finally {
      setPending(false);
    }
  };
  const save = async (entries: LaneEntries): Promise<void> => {
    const change = laneChange(entries, base);
    const name = base?.name ?? entries['name'] ?? '';
    if (base !== undefined) await client.lanes.patch(name, change, { ifVersion: base.version });
    else await client.lanes.register(name, { ...change, ...kindOf(entries) });
    notify.done(base === undefined ? `Registered ${name}` : `Changed ${name}`);
    onSaved(name);
  };
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const entries = Object.fromEntries(
      [...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]),
    );
    void attempt(() => save(entries));
  };
  const reload = (name: string): Promise<void> =>
    attempt(async () => setBase((await client.lanes.get(name)).lane));

  const isOutdated = error instanceof LanekeeperError && error.code === 'version_mismatch';
  return (
    <Dialog title={lane === undefined ? 'Register a lane' : `Edit ${lane.name}`} onClose={onClose} isWide>
      {/* Anew with what it is now: the fields show what they began with. */}
      <form key={base?.version ?? 0} onSubmit={submit}>
        {base === undefined && <NewLaneFields initialName={initialName} />}
        <LaneFields lane={base} />
        <Problem error={error} />
        {isOutdated && lane !== undefined && (
          <p className="lanes-outdated">
            Somebody has changed it since you opened this.{' '}
            <Button size="small" onClick={() => void reload(lane.name)}>
              Load what it is now
            </Button>{' '}
            <span className="muted small">Your entries are replaced.</span>
          </p>
        )}
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            {lane === undefined ? 'Register' : 'Save'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function kindOf(entries: LaneEntries): { kind: 'persistent' | 'human' } {
  return { kind: entries['kind'] === 'human' ? 'human' : 'persistent' };
}

function NewLaneFields({ initialName }: { readonly initialName: string }): ReactNode {
  const id = useId();
  return (
    <div className="lanes-fields">
      <div className="field">
        <label htmlFor={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          name="name"
          required
          pattern="[a-z0-9][a-z0-9._\-]{0,63}"
          title="Lower case letters, digits, dots, dashes and underscores; at most 64"
          defaultValue={initialName}
          autoComplete="off"
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-kind`}>Who works here</label>
        <select id={`${id}-kind`} name="kind" defaultValue="persistent">
          <option value="persistent">workers that stay (persistent)</option>
          <option value="human">people (human)</option>
        </select>
      </div>
    </div>
  );
}

const MUTATION_LABELS = {
  'own-claimed-only': 'what it has claimed',
  none: 'nothing: it may not claim',
} as const;

function LaneFields({ lane }: { readonly lane: Lane | undefined }): ReactNode {
  const id = useId();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}-description`}>Description</label>
        <textarea
          id={`${id}-description`}
          name="description"
          rows={2}
          maxLength={4000}
          defaultValue={lane?.description ?? ''}
        />
      </div>
      <div className="lanes-fields">
        {NUMBER_FIELDS.map(({ name, label, empty, most }) => (
          <div className="field" key={name}>
            <label htmlFor={`${id}-${name}`}>{label}</label>
            <input
              id={`${id}-${name}`}
              name={name}
              type="number"
              min={1}
              max={most}
              step={1}
              placeholder={empty}
              defaultValue={lane?.[name] ?? ''}
            />
          </div>
        ))}
        <div className="field">
          <label htmlFor={`${id}-mode`}>Claim mode</label>
          <select id={`${id}-mode`} name="claim_mode" defaultValue={lane?.claim_mode ?? CLAIM_MODES[0]}>
            {CLAIM_MODES.map((mode) => (
              <option key={mode}>{mode}</option>
            ))}
          </select>
        </div>
        <div className="field">
          <label htmlFor={`${id}-mutations`}>Its workers may change</label>
          <select
            id={`${id}-mutations`}
            name="allowed_status_mutations"
            defaultValue={lane?.allowed_status_mutations ?? STATUS_MUTATIONS[0]}
          >
            {STATUS_MUTATIONS.map((value) => (
              <option key={value} value={value}>
                {MUTATION_LABELS[value]}
              </option>
            ))}
          </select>
        </div>
      </div>
      <div className="field">
        <label htmlFor={`${id}-labels`}>Labels, one “key: value” a line</label>
        <textarea id={`${id}-labels`} name="labels" rows={2} defaultValue={labelsText(lane?.labels ?? {})} />
      </div>
    </>
  );
}
