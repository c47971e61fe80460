/** What stands around every page: navigation, board, state of the connection, theme, help. */
import { LogOut } from 'lucide-react';
import type { ReactNode } from 'react';
import { HelpDialog } from '../keyboard/help-dialog.tsx';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useBoardView, useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { useTheme } from '../theme/theme.ts';
import { Button } from '../ui/button.tsx';
import { Problem } from '../ui/problem.tsx';
import { useAttentionCount } from './attention-count.ts';
import { BoardMenu } from './board-menu.tsx';
import { BoardSwitcher } from './board-switcher.tsx';
import { ConnectionBadge } from './connection-badge.tsx';
import { useRememberFilter } from './last-filter.ts';
import { Navigation } from './navigation.tsx';
import { useTabBadge } from './tab-badge.ts';

const THEME_SIGNS = { system: '◐', light: '☀', dark: '☾' } as const;

export function Shell({ children }: { readonly children: ReactNode }): ReactNode {
  const { key, signOut } = useSession();
  const { board } = useClient();
  const { problem, isBoardPaused } = useBoardView();
  const [theme, nextTheme] = useTheme();
  const attention = useAttentionCount();
  useTabBadge(board, attention);
  useRememberFilter(board);
  useShortcut({ keys: 't', label: 'Change the theme', group: 'View', act: nextTheme });
  return (
    <div className="shell">
      <a className="skip-link" href="#main">
        Skip to the page
      </a>
      <header className="topbar">
        <img className="wide-only" src="/favicon.svg" alt="" width="22" height="22" />
        <BoardSwitcher />
        <BoardMenu />
        {isBoardPaused && <span className="chip chip-paused">board paused</span>}
        <span className="topbar-space" />
        <ConnectionBadge />
        <Button
          size="small"
          tone="ghost"
          aria-label={`Theme: ${theme}`}
          title={`Theme: ${theme} (t)`}
          onClick={nextTheme}
        >
          {THEME_SIGNS[theme]}
        </Button>
        <HelpDialog />
        <span className="who muted small" title={`Key ${key.id}`}>
          {key.name} · {key.role}
        </span>
        <Button size="small" tone="ghost" aria-label="Sign out" title="Sign out" onClick={signOut}>
          <LogOut size={16} aria-hidden />
          <span className="wide-only">Sign out</span>
        </Button>
      </header>
      <Navigation attention={attention} />
      <main id="main" className="page" tabIndex={-1}>
        {problem === null ? children : <Problem error={problem} />}
      </main>
    </div>
  );
}
