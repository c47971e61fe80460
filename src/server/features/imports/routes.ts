/** Binds the route of imports. */
import { importTasks } from '../../../contract/import.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import type { BoardService } from '../boards/service.ts';
import type { TaskImport } from './service.ts';

interface ImportRoutes {
  readonly imports: TaskImport;
  readonly boards: BoardService;
}

export function bindImportRoutes(bind: Bind, { imports, boards }: ImportRoutes): void {
  bind(importTasks, async ({ caller, params, body }) => {
    const board = await boards.resolve(params.board);
    return {
      status: 200,
      body: await imports.import(present(caller, 'importing is not open'), board, body),
    };
  });
}
