/** Who may speak to this server: keys, one-time links and the key that signs claim tokens. For admins; others are told why not. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { EmptyState } from '../ui/empty-state.tsx';
import { Menu } from '../ui/menu.tsx';
import { useNotify } from '../ui/notices.tsx';
import { PageHeader } from '../ui/page-header.tsx';
import { Problem } from '../ui/problem.tsx';
import { KeyFormDialog } from './key-form-dialog.tsx';
import { KeyRow } from './key-row.tsx';
import { SignInLinkDialog } from './sign-in-link-dialog.tsx';
import './keys.css';

const PAGE_ROWS = '50';

export function KeysPage(): ReactNode {
  const { may, key } = useSession();
  if (may.administer) return <AdminKeysPage />;
  return (
    <>
      <PageHeader title="Keys" />
      <EmptyState title="Keys are for admins." commands={['lanekeeper whoami']}>
        <p>
          You are signed in with the key “{key.name}” of role {key.role}, which may not see or issue keys. Ask
          an admin for a key, or for a one-time link that signs you in with more rights.
        </p>
      </EmptyState>
    </>
  );
}

function AdminKeysPage(): ReactNode {
  const [opened, setOpened] = useState<'key' | 'link' | null>(null);
  const [error, setError] = useState<unknown>(null);
  const client = useClient();
  const keys = useInfiniteQuery({
    queryKey: ['keys'],
    queryFn: ({ pageParam, signal }) =>
      client.keys.list(
        { limit: PAGE_ROWS, ...(pageParam === null ? {} : { page_token: pageParam }) },
        { signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_page_token,
  });
  const rows = keys.data?.pages.flatMap((page) => page.keys) ?? [];
  const close = (): void => {
    setOpened(null);
    void keys.refetch();
  };
  return (
    <>
      <PageHeader title="Keys">
        <Button tone="primary" onClick={() => setOpened('key')}>
          Create a key
        </Button>
        <Button onClick={() => setOpened('link')}>Sign-in link</Button>
        <SigningKeyMenu onProblem={setError} />
      </PageHeader>
      <Problem error={error ?? keys.error} />
      {keys.isPending && <p className="centered muted">Loading …</p>}
      <ul className="keys-list">
        {rows.map((key) => (
          <KeyRow key={key.id} apiKey={key} onRevoked={() => void keys.refetch()} />
        ))}
      </ul>
      {keys.hasNextPage && (
        <p className="keys-more">
          <Button disabled={keys.isFetchingNextPage} onClick={() => void keys.fetchNextPage()}>
            More keys
          </Button>
        </p>
      )}
      {opened === 'key' && <KeyFormDialog onClose={close} />}
      {opened === 'link' && <SignInLinkDialog onClose={close} />}
    </>
  );
}

/** Rare, and of every board at once: behind a menu, and only for keys of all boards. */
function SigningKeyMenu({ onProblem }: { readonly onProblem: (error: unknown) => void }): ReactNode {
  const { key } = useSession();
  const client = useClient();
  const ask = useAsk();
  const notify = useNotify();
  if (!key.boards.includes('*')) return null;
  const rotate = async (): Promise<void> => {
    const answer = await ask({
      title: 'Rotate the signing key',
      text: 'A new key for claim tokens is published now and signs a while later, when verifiers have had time to fetch it. Tokens that are out stay valid; nobody has to sign in again.',
      action: 'Rotate',
    });
    if (answer === null) return;
    try {
      const { signing_key: next } = await client.keys.rotateSigningKey();
      onProblem(null);
      notify.done(`The signing key ${next.kid} signs from ${next.signs_at} on`);
    } catch (error) {
      onProblem(error);
      notify.problem('Rotate the signing key', error);
    }
  };
  return (
    <Menu
      label="⋯"
      name="More about keys"
      className="button"
      items={[{ label: 'Rotate the signing key', onSelect: () => void rotate() }]}
    />
  );
}
