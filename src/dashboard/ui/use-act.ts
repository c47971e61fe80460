/** Does something that is not about one task: says what came of it, and keeps a refusal to be shown where it was asked for. */
import { useCallback, useState } from 'react';
import { useNotify } from './notices.tsx';

export interface Act {
  /** `perform` resolves to what is said when it is done. false: it was refused. */
  readonly act: (what: string, perform: () => Promise<string>) => Promise<boolean>;
  readonly isPending: boolean;
  readonly error: unknown;
}

export function useAct(): Act {
  const notify = useNotify();
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const act = useCallback(
    async (what: string, perform: () => Promise<string>): Promise<boolean> => {
      setError(null);
      setPending(true);
      try {
        notify.done(await perform());
        return true;
      } catch (refused) {
        setError(refused);
        notify.problem(what, refused);
        return false;
      } finally {
        setPending(false);
      }
    },
    [notify],
  );
  return { act, isPending, error };
}
