/** Gives the session to every view below it, and asks for a key while there is none. */
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from 'react';
import { connect, LanekeeperError } from '../../client/index.ts';
import { MEASURE_INTERVAL_MS, ServerClock } from '../live/server-clock.ts';
import { useNotify } from '../ui/notices.tsx';
import { keepKey, readKey, takeCode } from './credential.ts';
import { rightsOf, type Session } from './session.ts';
import { SignInPage } from './sign-in-page.tsx';

const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error('useSession is used outside of a session');
  return session;
}

type SignedIn = Omit<Session, 'signOut' | 'forget'>;

type State =
  | { readonly name: 'starting' }
  | { readonly name: 'signed_out'; readonly message: string | null }
  | { readonly name: 'signed_in'; readonly secret: string; readonly session: SignedIn };

/** Read once, before the router looks at the address. */
const initialCode = takeCode();

async function openSession(secret: string): Promise<SignedIn> {
  const client = connect({ url: location.origin, token: secret });
  const { principal } = await client.whoami();
  if (principal.type !== 'key')
    throw new TypeError('This is a claim token: it speaks for one claim, not for a person.');
  const clock = new ServerClock();
  await clock.measure(client);
  return { secret, key: principal.key, client, clock, may: rightsOf(principal.key.role) };
}

function messageOf(error: unknown): string {
  if (error instanceof LanekeeperError) {
    if (error.status === 401) return 'This key or link is not valid (any more).';
    return error.detail;
  }
  return error instanceof Error ? error.message : String(error);
}

export function SessionProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [state, setState] = useState<State>({ name: 'starting' });

  const queries = useQueryClient();
  const notify = useNotify();

  const signIn = useCallback(
    async (secret: string): Promise<void> => {
      try {
        const session = await openSession(secret);
        keepKey(secret);
        // What somebody else was shown in this tab is not for whoever comes next.
        queries.clear();
        setState({ name: 'signed_in', secret, session });
      } catch (error) {
        // Nothing else says that the key is no good: a server may be away, a proxy in its place, or somebody be guessing keys from here.
        if (error instanceof LanekeeperError && error.status === 401) keepKey(null);
        setState({ name: 'signed_out', message: messageOf(error) });
      }
    },
    [queries],
  );

  const signInWithCode = useCallback(
    async (code: string): Promise<void> => {
      try {
        const { secret } = await connect({ url: location.origin }).keys.signIn(code);
        await signIn(secret);
      } catch (error) {
        setState({ name: 'signed_out', message: messageOf(error) });
      }
    },
    [signIn],
  );

  useEffect(() => {
    const secret = readKey();
    if (initialCode !== null) void signInWithCode(initialCode);
    else if (secret !== null) void signIn(secret);
    else setState({ name: 'signed_out', message: null });
  }, [signIn, signInWithCode]);

  // A link that is pasted into this very tab loads no page anew.
  useEffect(() => {
    const onHash = (): void => {
      const code = takeCode();
      if (code !== null) void signInWithCode(code);
    };
    window.addEventListener('hashchange', onHash);
    return () => window.removeEventListener('hashchange', onHash);
  }, [signInWithCode]);

  const session = useMemo<Session | null>(() => {
    if (state.name !== 'signed_in') return null;
    const { key, client } = state.session;
    const forget = (): void => {
      keepKey(null);
      queries.clear();
      setState({ name: 'signed_out', message: null });
    };
    const signOut = (): void => {
      // Forgotten here whatever the server says; but a key that goes on living is to be known of.
      if (key.session)
        client.keys.signOut().catch((error: unknown) => {
          if (error instanceof LanekeeperError && error.status === 401) return;
          notify.problem(`Signed out here, but the key “${key.name}” was not withdrawn`, error);
        });
      forget();
    };
    return { ...state.session, signOut, forget };
  }, [state, queries, notify]);

  useEffect(() => {
    if (session === null) return;
    const timer = setInterval(() => {
      session.clock.measure(session.client).catch(() => undefined);
    }, MEASURE_INTERVAL_MS);
    return () => clearInterval(timer);
  }, [session]);

  if (state.name === 'starting') return <p className="centered muted">Signing in …</p>;
  if (session === null)
    return <SignInPage message={state.name === 'signed_out' ? state.message : null} onKey={signIn} />;
  return <SessionContext value={session}>{children}</SessionContext>;
}
