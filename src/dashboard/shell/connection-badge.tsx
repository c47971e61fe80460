/** Whether what is shown is how it is: live, catching up, offline, or paused by the person who looks. */
import type { ReactNode } from 'react';
import { useShortcut } from '../keyboard/shortcuts.tsx';
import { useBoardView, useLiveBoard } from '../live/live-context.tsx';
import type { Connection } from '../live/log-follower.ts';

const LABELS: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  catching_up: 'Catching up',
  offline: 'Offline',
  paused: 'Paused',
  refused: 'Refused',
};

export function ConnectionBadge(): ReactNode {
  const board = useLiveBoard();
  const { connection } = useBoardView();
  const isPaused = connection === 'paused';
  const toggle = (): void => board.pause(!isPaused);
  useShortcut({ keys: 'p', label: 'Pause or resume live updates', group: 'View', act: toggle });
  return (
    <>
      <button
        type="button"
        className={`connection connection-${connection}`}
        data-connection={connection}
        title={isPaused ? 'Resume live updates (p)' : 'Pause live updates (p)'}
        onClick={toggle}
      >
        <span className="connection-dot" aria-hidden="true" />
        <span>{LABELS[connection]}</span>
      </button>
      {/* What stands in a button is not announced when it changes. */}
      <span className="visually-hidden" role="status">
        Updates: {LABELS[connection]}
      </span>
    </>
  );
}
