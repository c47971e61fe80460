/** One key: what it may do and when it was used, and how to end it. */
import { type ReactNode, useState } from 'react';
import type { Key } from '../../client/index.ts';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { useNotify } from '../ui/notices.tsx';
import { Problem } from '../ui/problem.tsx';
import { Chip } from '../ui/status-chip.tsx';
import { Ago, shortDuration, useSecondsUntil } from '../ui/time.tsx';

interface KeyRowProps {
  readonly apiKey: Key;
  readonly onRevoked: () => void;
}

export function KeyRow({ apiKey, onRevoked }: KeyRowProps): ReactNode {
  const session = useSession();
  const client = useClient();
  const ask = useAsk();
  const notify = useNotify();
  const [error, setError] = useState<unknown>(null);
  const isOwn = apiKey.id === session.key.id;
  const revoke = async (): Promise<void> => {
    const answer = await ask({
      title: `Revoke ${apiKey.name}`,
      text: isOwn
        ? 'This is the key that you are signed in with: you will be signed out at once.'
        : 'Whoever uses it is refused within a second, and the sockets that it opened are closed. This cannot be taken back.',
      action: isOwn ? 'Revoke and sign out' : 'Revoke',
      isDestructive: true,
    });
    if (answer === null) return;
    try {
      await client.keys.revoke(apiKey.id);
      notify.done(`Revoked ${apiKey.name}`);
      if (isOwn) session.forget();
      else onRevoked();
    } catch (refused) {
      setError(refused);
      notify.problem(`Revoke ${apiKey.name}`, refused);
    }
  };
  return (
    <li className="keys-row">
      <div className="keys-name">
        <h2>{apiKey.name}</h2>
        <span className="keys-chips">
          <Chip kind={apiKey.role === 'admin' ? 'warn' : 'quiet'}>{apiKey.role}</Chip>
          {apiKey.session && <Chip kind="quiet">sign-in</Chip>}
          {isOwn && <Chip kind="info">yours</Chip>}
        </span>
      </div>
      <KeyFacts apiKey={apiKey} />
      <Button size="small" tone="danger" aria-label={`Revoke ${apiKey.name}`} onClick={() => void revoke()}>
        Revoke
      </Button>
      <Problem error={error} />
    </li>
  );
}

function KeyFacts({ apiKey }: { readonly apiKey: Key }): ReactNode {
  const { boards, lane, owner, created_at: createdAt, expires_at: expiresAt, last_used_at: usedAt } = apiKey;
  return (
    <dl className="keys-facts">
      <div>
        <dt>Boards</dt>
        <dd>{boards.includes('*') ? 'all' : boards.join(', ')}</dd>
      </div>
      <div>
        <dt>Lane</dt>
        <dd>{lane ?? '–'}</dd>
      </div>
      {owner !== null && (
        <div>
          <dt>Owner</dt>
          <dd>{owner}</dd>
        </div>
      )}
      <div>
        <dt>Created</dt>
        <dd>
          <Ago at={createdAt} />
        </dd>
      </div>
      <div>
        <dt>Expires</dt>
        <dd>{expiresAt === null ? 'never' : <Expiry atMs={Date.parse(expiresAt)} />}</dd>
      </div>
      <div>
        <dt>Last used</dt>
        <dd>{usedAt === null ? 'never' : <Ago at={usedAt} />}</dd>
      </div>
    </dl>
  );
}

function Expiry({ atMs }: { readonly atMs: number }): ReactNode {
  const seconds = useSecondsUntil(atMs);
  const iso = new Date(atMs).toISOString();
  return (
    <time dateTime={iso} title={iso}>
      {seconds <= 0 ? 'expired' : `in ${shortDuration(seconds)}`}
    </time>
  );
}
