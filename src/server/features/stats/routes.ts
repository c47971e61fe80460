/** Binds the route of a board's statistics. */
import { getStats } from '../../../contract/stats.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { BoardService } from '../boards/service.ts';
import { readStats } from './stats.ts';
import { DEFAULT_WINDOW } from './window.ts';

interface StatsRoutes {
  readonly boards: BoardService;
  readonly reads: BroadReads;
}

export function bindStatsRoutes(bind: Bind, { boards, reads }: StatsRoutes): void {
  bind(getStats, async ({ params, query }) => {
    const board = await boards.resolve(params.board);
    const stats = await reads.snapshot(String(board.id), (tx) =>
      readStats(tx, board, query.window ?? DEFAULT_WINDOW),
    );
    return { status: 200, body: { stats } };
  });
}
