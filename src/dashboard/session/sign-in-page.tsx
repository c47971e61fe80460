/** Asks for a key. It is sent nowhere but to this server, and kept for this tab only. */
import { type FormEvent, type ReactNode, useId, useState } from 'react';
import { Button } from '../ui/button.tsx';

interface SignInPageProps {
  readonly message: string | null;
  readonly onKey: (key: string) => Promise<void>;
}

export function SignInPage({ message, onKey }: SignInPageProps): ReactNode {
  const [key, setKey] = useState('');
  const [isPending, setPending] = useState(false);
  const fieldId = useId();
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setPending(true);
    await onKey(key.trim());
    setPending(false);
  };
  return (
    <main className="sign-in">
      <form className="panel sign-in-form" onSubmit={(event) => void submit(event)}>
        <h1>
          <img src="/favicon.svg" alt="" width="28" height="28" /> Lanekeeper
        </h1>
        <p className="muted">
          Open the sign-in link that the server printed when it started, make a new one with{' '}
          <code>lanekeeper dashboard</code>, or paste an API key.
        </p>
        <label htmlFor={fieldId}>API key</label>
        <input
          id={fieldId}
          type="password"
          autoComplete="off"
          spellCheck={false}
          required
          placeholder="lk_admin_…"
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        {message !== null && (
          <p className="problem" role="alert">
            {message}
          </p>
        )}
        <Button type="submit" tone="primary" disabled={isPending}>
          {isPending ? 'Signing in …' : 'Sign in'}
        </Button>
        <p className="muted small">The key stays in this tab: it is gone when you close it.</p>
      </form>
    </main>
  );
}
