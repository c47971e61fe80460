/** Binds the routes of why and attention. */
import { getAttention } from '../../../contract/attention.ts';
import { getWhy } from '../../../contract/why.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import type { BoardService } from '../boards/service.ts';
import type { Attention, Why } from './service.ts';

interface AttentionRoutes {
  readonly why: Why;
  readonly attention: Attention;
  readonly boards: BoardService;
  readonly reads: BroadReads;
}

export function bindAttentionRoutes(bind: Bind, { why, attention, boards, reads }: AttentionRoutes): void {
  bind(getWhy, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const reasons = await why.explain(present(caller, 'why is not open'), board, params.task);
    return { status: 200, body: { reasons } };
  });
  bind(getAttention, async ({ params }) => {
    const board = await boards.resolve(params.board);
    await attention.prepare();
    const body = await reads.snapshot(String(board.id), (tx) => attention.list(tx, board));
    return { status: 200, body };
  });
}
