/** A link that signs one other person in, once. It is as good as a key while it lasts, so it is shown here and kept nowhere. */
import type { ReactNode } from 'react';
import type { ReplyOf } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { Button } from '../ui/button.tsx';
import { CopyButton } from '../ui/copy-button.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { SelectField, TextField } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { clockDuration, useSecondsUntil } from '../ui/time.tsx';
import { ROLE_OPTIONS, signInRequest } from './key-form.ts';
import { useCreation } from './use-creation.ts';

/** Lanes are of workers, who do not look at pages. */
const OPTIONS = ROLE_OPTIONS.filter(({ value }) => value !== 'lane');

interface SignInLinkDialogProps {
  readonly onClose: () => void;
}

export function SignInLinkDialog({ onClose }: SignInLinkDialogProps): ReactNode {
  const client = useClient();
  const { made, isPending, error, submit } = useCreation((entries) =>
    client.keys.createSignInCode(signInRequest(entries)),
  );
  if (made !== null) return <MadeDialog made={made} onClose={onClose} />;
  return (
    <Dialog title="A link that signs somebody in" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <p className="dialog-text">
          Whoever opens it first is signed in to this dashboard for up to 12 hours. It works once, and for a
          few minutes.
        </p>
        <SelectField label="Role" name="role" options={OPTIONS} defaultValue="observer" />
        <TextField label="Boards" name="boards" placeholder="all of yours; or names, separated by commas" />
        <TextField label="Who it is for (optional)" name="name" maxLength={128} />
        <Problem error={error} />
        <div className="dialog-buttons">
          <Button onClick={onClose}>Keep as it is</Button>
          <Button type="submit" tone="primary" disabled={isPending}>
            Make the link
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface MadeDialogProps {
  readonly made: ReplyOf<'createSignInCode'>;
  readonly onClose: () => void;
}

function MadeDialog({ made, onClose }: MadeDialogProps): ReactNode {
  const seconds = useSecondsUntil(Date.parse(made.expires_at));
  return (
    <Dialog title="A link that signs somebody in" onClose={onClose}>
      <p className="dialog-text">
        {seconds <= 0
          ? 'It is no good any more: make another one.'
          : `Shown this once, good for ${clockDuration(seconds)}. Send it to one person, by a way that only they read.`}
      </p>
      <div className="snippet secret-once">
        <pre className="wrap">{made.url}</pre>
        <CopyButton text={made.url} label="Copy link" />
      </div>
      <div className="dialog-buttons">
        <Button tone="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}
