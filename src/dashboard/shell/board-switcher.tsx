/** Which board, and the way to another one. */
import type { ReactNode } from 'react';
import { useClient } from '../live/live-context.tsx';
import { linkToPage } from './links.ts';
import { useBoards } from './use-boards.ts';

export function BoardSwitcher(): ReactNode {
  const { board } = useClient();
  const { data } = useBoards();
  const names = data?.boards.map(({ name }) => name) ?? [];
  const options = names.includes(board) ? names : [board, ...names];
  return (
    <select
      className="board-switcher"
      aria-label="Board"
      value={board}
      // A whole new page of the app: nothing of the other board stays in memory.
      onChange={(event) => location.assign(linkToPage(event.target.value, 'board'))}
    >
      {options.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
