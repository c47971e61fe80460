/** The pages: at the side on a desk, along the bottom on a phone. */
import { Activity, BarChart3, Bell, GitFork, KanbanSquare, KeyRound, Send, Users } from 'lucide-react';
import type { ComponentType, ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useClient } from '../live/live-context.tsx';
import type { Rights } from '../session/session.ts';
import { useSession } from '../session/session-context.tsx';
import type { AttentionCount } from './attention-count.ts';
import { linkToPage, type Page } from './links.ts';

interface Entry {
  readonly page: Page;
  readonly label: string;
  readonly Icon: ComponentType<{ readonly size?: number; readonly 'aria-hidden'?: boolean }>;
  /** After "g". */
  readonly key: string;
  readonly isFor?: keyof Rights;
}

const ENTRIES: readonly Entry[] = [
  { page: 'board', label: 'Board', Icon: KanbanSquare, key: 'b' },
  { page: 'attention', label: 'Attention', Icon: Bell, key: 'a' },
  { page: 'lanes', label: 'Lanes', Icon: Users, key: 'l' },
  { page: 'delegations', label: 'Delegations', Icon: GitFork, key: 'd' },
  { page: 'deliveries', label: 'Deliveries', Icon: Send, key: 's', isFor: 'readDeliveries' },
  { page: 'activity', label: 'Activity', Icon: Activity, key: 'v' },
  { page: 'charts', label: 'Charts', Icon: BarChart3, key: 'c' },
  { page: 'keys', label: 'Keys', Icon: KeyRound, key: 'k', isFor: 'administer' },
];

export function Navigation({ attention }: { readonly attention: AttentionCount }): ReactNode {
  const { may } = useSession();
  return (
    <nav className="navigation" aria-label="Pages">
      {ENTRIES.filter(({ isFor }) => isFor === undefined || may[isFor]).map((entry) => (
        <NavigationLink
          key={entry.page}
          entry={entry}
          badge={entry.page === 'attention' ? attention : null}
        />
      ))}
    </nav>
  );
}

interface NavigationLinkProps {
  readonly entry: Entry;
  readonly badge: AttentionCount | null;
}

function NavigationLink({ entry: { page, label, Icon, key }, badge }: NavigationLinkProps): ReactNode {
  const { board } = useClient();
  // Within the board's own part of the address.
  const [location, navigate] = useLocation();
  const path = page === 'board' ? '/' : `/${page}`;
  const isHere =
    page === 'board' ? location === '/' || location.startsWith('/tasks') : location.startsWith(path);
  useShortcut({
    keys: `g ${key}`,
    label,
    group: 'Go to',
    act: () => navigate(`~${linkToPage(board, page)}`),
  });
  return (
    <Link
      href={`~${linkToPage(board, page)}`}
      className={isHere ? 'navigation-link here' : 'navigation-link'}
      aria-current={isHere ? 'page' : undefined}
      title={`${label} (g ${key})`}
    >
      <Icon size={18} aria-hidden />
      <span>{label}</span>
      {badge !== null && badge.count > 0 && (
        <span className="badge">
          {badge.count}
          {badge.isMore ? '+' : ''}
          <span className="visually-hidden"> waiting</span>
        </span>
      )}
    </Link>
  );
}
