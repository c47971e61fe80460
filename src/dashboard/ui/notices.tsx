/** What was done, and what went wrong, in a corner and to screen readers. A problem stays until it is put away; the rest goes by itself. */
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from 'react';
import { Button } from './button.tsx';
import { problemText } from './problem.tsx';

interface Notice {
  readonly id: number;
  readonly text: string;
  readonly isProblem: boolean;
}

export interface Notify {
  readonly done: (text: string) => void;
  readonly problem: (what: string, error: unknown) => void;
}

const NotifyContext = createContext<Notify | null>(null);

export function useNotify(): Notify {
  const notify = useContext(NotifyContext);
  if (notify === null) throw new Error('useNotify is used outside of its provider');
  return notify;
}

const SHOWN_MS = 5000;
/** More at once than anybody reads: the oldest go. */
const NOTICES_MAX = 4;
let lastId = 0;

export function NoticesProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const remove = useCallback((id: number) => {
    setNotices((before) => before.filter((notice) => notice.id !== id));
  }, []);
  const add = useCallback(
    (text: string, isProblem: boolean) => {
      lastId += 1;
      const id = lastId;
      setNotices((before) => [...before, { id, text, isProblem }].slice(-NOTICES_MAX));
      if (!isProblem) setTimeout(() => remove(id), SHOWN_MS);
    },
    [remove],
  );
  const notify = useMemo<Notify>(
    () => ({
      done: (text) => add(text, false),
      problem: (what, error) => add(`${what}: ${problemText(error)}`, true),
    }),
    [add],
  );
  return (
    <NotifyContext value={notify}>
      {children}
      <div className="notices" role="status" aria-live="polite">
        {notices.map(({ id, text, isProblem }) => (
          <div key={id} className={isProblem ? 'notice notice-problem' : 'notice'}>
            <span>{text}</span>
            <Button size="small" tone="ghost" aria-label="Put away" onClick={() => remove(id)}>
              ✕
            </Button>
          </div>
        ))}
      </div>
    </NotifyContext>
  );
}
