/** Keeps the actions on many tasks while somebody is signed in, whatever page is shown, and asks before the tab is closed on one of them. */
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from 'react';
import { useClient } from '../live/live-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { useNotify } from '../ui/notices.tsx';
import { type BulkOffer, fieldsOf, questionOf } from './bulk.ts';
import type { BulkRun } from './bulk-run.ts';
import { BulkWorks } from './bulk-works.ts';

const BulkContext = createContext<BulkWorks | null>(null);

export function BulkProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const [works, setWorks] = useState<BulkWorks | null>(null);
  useEffect(() => {
    const opened = new BulkWorks();
    setWorks(opened);
    return () => opened.close();
  }, []);
  return works === null ? null : (
    <BulkContext value={works}>
      <LeaveWarning works={works} />
      {children}
    </BulkContext>
  );
}

function LeaveWarning({ works }: { readonly works: BulkWorks }): ReactNode {
  const isUnbegun = useSyncExternalStore(works.subscribe, () => works.hasUnbegun());
  useEffect(() => {
    if (!isUnbegun) return;
    const onLeave = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', onLeave);
    return () => window.removeEventListener('beforeunload', onLeave);
  }, [isUnbegun]);
  return null;
}

export interface Bulk {
  readonly current: BulkRun | null;
  /** false: the person changed their mind, or another one is under way. */
  readonly start: (offer: BulkOffer, selectedCount: number) => Promise<boolean>;
  readonly cancel: () => void;
  readonly dismiss: () => void;
}

/** Of the board of the page: asks about an action on many tasks and has it done. */
export function useBulk(): Bulk {
  const works = useContext(BulkContext);
  if (works === null) throw new Error('useBulk is used outside of its provider');
  const client = useClient();
  const { board } = client;
  const ask = useAsk();
  const notify = useNotify();
  const current = useSyncExternalStore(works.subscribe, () => works.of(board));
  const acts = useMemo<Omit<Bulk, 'current'>>(
    () => ({
      start: async (offer, selectedCount) => {
        const { action, count } = offer;
        const answers = await ask({
          title: `${action.label}: ${count.toLocaleString()} ${count === 1 ? 'task' : 'tasks'}`,
          text: questionOf(offer, selectedCount),
          action: `${action.label} ${count.toLocaleString()}`,
          fields: fieldsOf(action),
          ...(action.isDestructive === undefined ? {} : { isDestructive: action.isDestructive }),
        });
        if (answers === null) return false;
        if (works.start(client, offer, answers)) return true;
        notify.problem(action.label, new Error('Another action on many tasks is still under way.'));
        return false;
      },
      cancel: () => {
        works.cancel(board).catch((error: unknown) => notify.problem('Stop', error));
      },
      dismiss: () => works.dismiss(board),
    }),
    [works, client, board, ask, notify],
  );
  return useMemo(() => ({ current, ...acts }), [current, acts]);
}
