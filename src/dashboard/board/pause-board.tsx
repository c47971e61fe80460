/** For admins. Stops and starts the whole board: no task of it is handed out while it is paused; what runs goes on. */
import { type ReactNode, useState } from 'react';
import { useBoardView, useClient } from '../live/live-context.tsx';
import { useAsk } from '../ui/ask.tsx';
import { Button } from '../ui/button.tsx';
import { useNotify } from '../ui/notices.tsx';

export function PauseBoard(): ReactNode {
  const client = useClient();
  const { isBoardPaused } = useBoardView();
  const ask = useAsk();
  const notify = useNotify();
  const [isPending, setPending] = useState(false);
  const change = async (): Promise<void> => {
    if (!isBoardPaused) {
      const title = `Pause the board ${client.board}`;
      const text = 'No task is handed out until it is resumed. What runs goes on.';
      if ((await ask({ title, text, action: 'Pause board' })) === null) return;
    }
    setPending(true);
    try {
      await client.boards.patch(client.board, { settings: { paused: !isBoardPaused } });
    } catch (error) {
      notify.problem(isBoardPaused ? 'Resume board' : 'Pause board', error);
    } finally {
      setPending(false);
    }
  };
  return (
    <Button tone={isBoardPaused ? 'primary' : 'plain'} disabled={isPending} onClick={() => void change()}>
      {isBoardPaused ? 'Resume board' : 'Pause board'}
    </Button>
  );
}
