/** The boards that the key may see, for whatever of the frame asks. */
import { useQuery } from '@tanstack/react-query';
import { useSession } from '../session/session-context.tsx';

/** The most that the server gives at once. */
const BOARDS_MAX = '200';
/** A new board is seen within a minute. */
const REREAD_MS = 60_000;

export function useBoards() {
  const { client } = useSession();
  return useQuery({
    queryKey: ['boards'],
    queryFn: () => client.boards.list({ limit: BOARDS_MAX }),
    refetchInterval: REREAD_MS,
  });
}
