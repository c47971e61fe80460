/** Creates a key, and shows its secret this once. */
import { type ReactNode, useState } from 'react';
import { useBoardView, useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { Button } from '../ui/button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { SecretOnce } from '../ui/secret-once.tsx';
import { endText, endWarning, latestEntry, writtenTime } from './key-end.ts';
import { newKey, ROLE_OPTIONS } from './key-form.ts';
import { useCreation } from './use-creation.ts';

interface KeyFormDialogProps {
  readonly onClose: () => void;
}

export function KeyFormDialog({ onClose }: KeyFormDialogProps): ReactNode {
  const client = useClient();
  const { key: issuer } = useSession();
  const {
    made: created,
    isPending,
    error,
    submit,
  } = useCreation((entries) => client.keys.create(newKey(entries)));
  if (created !== null)
    return (
      <Dialog title={`The key ${created.key.name}`} onClose={onClose}>
        <SecretOnce label={`Key of role ${created.key.role}`} secret={created.secret} />
        <p>{endText(created.key, issuer, writtenTime)}</p>
        <div className="dialog-buttons">
          <Button tone="primary" onClick={onClose}>
            Close
          </Button>
        </div>
      </Dialog>
    );
  const warning = endWarning(issuer, 'lanekeeper key create --role observer --name NAME', writtenTime);
  return (
    <Dialog title="Create a key" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <KeyFields />
        {warning !== null && <p className="muted small">{warning}</p>}
        <Problem error={error} />
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function KeyFields(): ReactNode {
  const { board } = useClient();
  const { lanes } = useBoardView();
  const { key: issuer } = useSession();
  const [role, setRole] = useState('observer');
  const isLane = role === 'lane';
  return (
    <>
      <SelectField
        label="Role"
        name="role"
        options={ROLE_OPTIONS}
        value={role}
        onChange={(event) => setRole(event.target.value)}
      />
      <TextField label="Name" name="name" required maxLength={128} placeholder="what it is for" />
      <TextField
        key={isLane ? 'board' : 'boards'}
        label={isLane ? 'Board' : 'Boards'}
        name="boards"
        required={isLane}
        defaultValue={isLane ? board : ''}
        placeholder="all of yours; or names, separated by commas"
      />
      {isLane ? (
        <TextField label="Lane" name="lane" required suggestions={[...lanes.keys()]} />
      ) : (
        <TextField label="Delivery owner (optional)" name="owner" maxLength={128} />
      )}
      <TextField
        label="Expires (optional)"
        name="expires_at"
        type="datetime-local"
        max={latestEntry(issuer)}
      />
    </>
  );
}
