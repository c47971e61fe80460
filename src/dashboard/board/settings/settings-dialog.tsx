/**
 * The settings of a board, live: a form for admins, and what they are for everybody else. Who closes it, or the page, with something unsaved is
 * asked first; the way back in the browser's history does not ask.
 */
import { type ReactNode, useEffect, useState } from 'react';
import type { Event } from '../../../client/index.ts';
import { useClient, useLiveQuery } from '../../live/live-context.tsx';
import { useSession } from '../../session/session-context.tsx';
import { useAsk } from '../../ui/ask.tsx';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { Problem } from '../../ui/problem.tsx';
import { fieldsOf, NO_ENTRIES, unsavedOf } from './settings-draft.ts';
import { SettingsFacts } from './settings-facts.tsx';
import { SettingsForm } from './settings-form.tsx';
import './settings.css';

const isOfBoard = ({ kind }: Event): boolean => kind === 'board.updated';

function useBoard() {
  return useLiveQuery({
    key: ['board-settings'],
    read: async (client, signal) => (await client.boards.get(client.board, { signal })).board,
    isTouchedBy: isOfBoard,
  });
}

export function SettingsDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const { board: name } = useClient();
  const { may } = useSession();
  const ask = useAsk();
  const { data, error, dataUpdatedAt, refetch } = useBoard();
  const [openedAtMs] = useState(Date.now);
  const [entries, setEntries] = useState(NO_ENTRIES);
  // What was read when it was open the last time is not what the board was when it was opened this time.
  const board = dataUpdatedAt >= openedAtMs ? data : undefined;
  const unsaved = board === undefined ? [] : unsavedOf(fieldsOf(board, entries));
  useWarningBeforeUnload(unsaved.length > 0);
  const leave = async (): Promise<void> => {
    const question = {
      title: 'Leave without saving?',
      text: `What you have entered is lost: ${unsaved.map(({ setting }) => setting.label).join(', ')}.`,
      action: 'Leave',
      isDestructive: true,
    };
    if (unsaved.length === 0 || (await ask(question)) !== null) onClose();
  };
  return (
    <Dialog title={`Settings of ${name}`} onClose={() => void leave()} isWide>
      {board === undefined && <NotYet error={error} onClose={onClose} />}
      {board !== undefined && !may.administer && <SettingsFacts board={board} onClose={onClose} />}
      {board !== undefined && may.administer && (
        <SettingsForm
          board={board}
          entries={entries}
          onEntries={setEntries}
          reread={refetch}
          onLeave={() => void leave()}
          onSaved={onClose}
        />
      )}
    </Dialog>
  );
}

function useWarningBeforeUnload(isUnsaved: boolean): void {
  useEffect(() => {
    if (!isUnsaved) return;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', warn);
    return () => window.removeEventListener('beforeunload', warn);
  }, [isUnsaved]);
}

interface NotYetProps {
  readonly error: Error | null;
  readonly onClose: () => void;
}

/** While it is read there is nothing to press, which would take the focus with it when it goes. */
function NotYet({ error, onClose }: NotYetProps): ReactNode {
  if (error === null) return <p className="dialog-text">Loading …</p>;
  return (
    <>
      <Problem error={error} />
      <div className="dialog-buttons">
        <Button onClick={onClose}>Close</Button>
      </div>
    </>
  );
}
