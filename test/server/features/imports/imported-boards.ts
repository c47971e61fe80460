/** Boards that imports are tried on: two servers, and after each test the log of every board is held against its rows. */
import { type ImportReport, importHermes } from '../../../../src/cli/import/hermes-import.ts';
import { connect } from '../../../../src/client/client.ts';
import { type AuditedBoards, useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import type { TestBoard } from '../../../fixtures/board.ts';
import { ADMIN_KEY } from '../../../fixtures/server.ts';

interface ImportedBoards extends AuditedBoards {
  /** Every row of the board, in the tables that an import writes. */
  rowsOf(board: TestBoard): Promise<unknown>;
}

const TABLES = [
  'boards',
  'board_seq',
  'lanes',
  'tasks',
  'task_details',
  'runs',
  'comments',
  'links',
  'subscriptions',
  'events',
];

export function useImportedBoards(): ImportedBoards {
  const { servers, newBoard } = useAuditedBoards([]);
  return {
    servers,
    newBoard,
    rowsOf: (board) => {
      const { sql } = servers.database;
      const id = sql`(SELECT id FROM boards WHERE name = ${board.name})`;
      return Promise.all(
        TABLES.map((table) => {
          const key = table === 'boards' ? sql`id` : sql`board_id`;
          return sql`SELECT to_jsonb(t) AS row FROM ${sql(table)} t WHERE ${key} = ${id} ORDER BY to_jsonb(t)::text`;
        }),
      );
    },
  };
}

export function run(
  board: TestBoard,
  path: string,
  options: { readonly isDryRun?: boolean; readonly profiles?: readonly string[] } = {},
): Promise<ImportReport> {
  const { isDryRun = false, profiles = ['coder'] } = options;
  const client = connect({ url: board.server.url, token: ADMIN_KEY, board: board.name });
  return importHermes({ path, client, isDryRun, profiles: new Set(profiles), onProgress: () => undefined });
}

export function findingsOf({ findings }: ImportReport): Record<string, number> {
  return Object.fromEntries(findings.map(({ code, count }) => [code, count]));
}

export function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
