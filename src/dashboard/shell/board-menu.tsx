/** For admins: the settings of this board, a board more, or this one less. */
import type { ReactNode } from 'react';
import { useLocation } from 'wouter';
import { useClient } from '../live/live-context.tsx';
import { useSession } from '../session/session-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Menu } from '../ui/menu.tsx';
import { useNotify } from '../ui/notices.tsx';
import { linkToSettings } from './last-filter.ts';
import { linkToPage } from './links.ts';

export function BoardMenu(): ReactNode {
  const { may, client: everywhere } = useSession();
  const { board } = useClient();
  const ask = useAsk();
  const notify = useNotify();
  const [, navigate] = useLocation();
  if (!may.administer) return null;

  const create = async (): Promise<void> => {
    const answers = await ask({
      title: 'New board',
      fields: [
        { name: 'name', label: 'Name (small letters, digits, . _ -)', kind: 'text', isRequired: true },
      ],
      action: 'Create board',
    });
    const name = answers?.['name'];
    if (!name) return;
    try {
      await everywhere.boards.put(name);
      location.assign(linkToPage(name, 'board'));
    } catch (error) {
      notify.problem('New board', error);
    }
  };

  const remove = async (): Promise<void> => {
    const answers = await ask({
      title: `Delete the board ${board}`,
      text: 'All its tasks, lanes, runs and its log are erased. This cannot be taken back.',
      fields: [{ name: 'name', label: `Write "${board}" to confirm`, kind: 'text', isRequired: true }],
      action: 'Delete for good',
      isDestructive: true,
    });
    if (answers === null) return;
    if (answers['name'] !== board) {
      notify.problem('Delete board', new Error('That is not its name: nothing was deleted.'));
      return;
    }
    try {
      await everywhere.boards.delete(board);
      location.assign('/');
    } catch (error) {
      notify.problem('Delete board', error);
    }
  };

  const items = [
    { label: 'Board settings …', onSelect: () => navigate(`~${linkToSettings(board)}`) },
    { label: 'New board …', onSelect: () => void create() },
    { label: 'Delete this board …', onSelect: () => void remove(), isDestructive: true },
  ];
  return <Menu label="⋯" name="Boards" items={items} className="button ghost small board-menu" />;
}
