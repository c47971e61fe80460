/** Binds the route of the audit log. */
import { AUDIT_ACTIONS, listAudit } from '../../../contract/audit.ts';
import { LIMITS } from '../../../contract/constants.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound, maySeeBoard } from '../auth/service.ts';
import type { BoardService } from '../boards/service.ts';
import type { AuditJournal } from './journal.ts';

const PAGE_ROWS_DEFAULT = 100;

interface AuditRoutes {
  readonly journal: AuditJournal;
  readonly boards: BoardService;
  readonly reads: BroadReads;
}

export function bindAuditRoutes(bind: Bind, { journal, boards, reads }: AuditRoutes): void {
  bind(listAudit, async ({ caller, query }) => {
    const principal = present(caller, 'the audit log is not open');
    const named = words('boards', query.boards);
    for (const name of named ?? []) if (!maySeeBoard(principal, name)) throw boardNotFound(name);
    const page = await journal.list(
      reads,
      {
        after: query.after,
        before: query.before,
        rows: query.limit === undefined ? PAGE_ROWS_DEFAULT : Number(query.limit),
      },
      {
        boardIds: await visibleTo(principal, boards),
        boards: named,
        actors: words('actors', query.actors),
        actions: actionsOf(words('actions', query.actions)),
        since: query.since ?? null,
        until: query.until ?? null,
      },
    );
    return { status: 200, body: page };
  });
}

/** By number: what a board of the same name was before is nobody's but the admins' of every board. null: all. */
async function visibleTo(caller: Principal, boards: BoardService): Promise<number[] | null> {
  if (caller.kind === 'key' && caller.boards === '*') return null;
  const names = caller.kind === 'key' && caller.boards !== '*' ? [...caller.boards] : [];
  const found = await Promise.all(
    names.map((name) =>
      boards.resolve(name).catch((error: unknown) => {
        if (error instanceof ProblemError && error.code === 'not_found') return null;
        throw error;
      }),
    ),
  );
  return found.flatMap((board) => (board === null ? [] : [board.id]));
}

function words(name: string, list: string | undefined): string[] | null {
  if (list === undefined) return null;
  const found = list.split(',').map((word) => word.trim());
  if (found.length <= LIMITS.filterWordsMax && found.every((word) => word !== '')) return found;
  throw new ProblemError(
    'invalid_request',
    `The filter is not a list of up to ${LIMITS.filterWordsMax} words.`,
    {
      errors: [{ pointer: `/query/${name}`, detail: 'must be words with commas between them' }],
    },
  );
}

function actionsOf(wanted: readonly string[] | null): string[] | null {
  if (wanted === null) return null;
  const actions: readonly string[] = AUDIT_ACTIONS;
  return wanted.flatMap((word) => {
    const meant = word.endsWith('.*')
      ? actions.filter((action) => action.startsWith(word.slice(0, -1)))
      : actions.filter((action) => action === word);
    if (meant.length > 0) return meant;
    throw new ProblemError('invalid_request', 'There is no such action in the audit log.', {
      errors: [{ pointer: '/query/actions', detail: `must be of: ${actions.join(', ')}` }],
    });
  });
}
