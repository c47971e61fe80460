/** Binds the routes of boards. */
import {
  type Board,
  deleteBoard,
  getBoard,
  listBoards,
  patchBoard,
  putBoard,
} from '../../../contract/boards.ts';
import type { Bind } from '../../http/bind-route.ts';
import { nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import type { BoardService } from './service.ts';

const CALLER = 'routes of boards are not open';

const withTag = (status: number, board: Board) => ({
  status,
  body: { board },
  headers: { ETag: `"${board.version}"` },
});

export function bindBoardRoutes(bind: Bind, boards: BoardService): void {
  bind(putBoard, async ({ caller, params, body }) => {
    const { board, isNew } = await boards.put(present(caller, CALLER), params.board, body);
    return withTag(isNew ? 201 : 200, board);
  });
  bind(listBoards, async ({ caller, query }) => {
    const rows = pageRows(query);
    const after = readPageToken(query.page_token, 'boards', 1)?.[0] ?? null;
    const found = await boards.list(present(caller, CALLER), after, rows + 1);
    return {
      status: 200,
      body: {
        boards: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, 'boards', (board) => [board.name]),
      },
    };
  });
  bind(getBoard, async ({ params }) => withTag(200, await boards.get(params.board)));
  bind(patchBoard, async ({ caller, params, body, ifMatchVersion }) =>
    withTag(200, await boards.patch(present(caller, CALLER), params.board, ifMatchVersion, body)),
  );
  bind(deleteBoard, async ({ params }) => {
    await boards.delete(params.board);
    return { status: 204 };
  });
}
