/** Binds the routes of tasks: here the verbs and links of tasks that exist, in routes/ how tasks are created and read. */
import { getGraph, linkParent, unlinkParent } from '../../../contract/links.ts';
import { steerTask } from '../../../contract/messages.ts';
import {
  acceptTask,
  addComment,
  archiveTask,
  assignTask,
  cancelTask,
  completeTask,
  deleteTask,
  patchTask,
  promoteTask,
  reopenTask,
  requestTaskChanges,
  scheduleTask,
  unblockTask,
} from '../../../contract/task-routes.ts';
import type { Bind } from '../../http/bind-route.ts';
import { present } from '../../kernel/assert.ts';
import { formatId } from '../../kernel/ids.ts';
import { bindCreation } from './routes/creation.ts';
import { CALLER, type TaskRoutes, withTag } from './routes/parts.ts';
import { bindReading } from './routes/reading.ts';
import type { TaskService } from './service.ts';

/** What it does to a task may matter to those that wait for it. */
const FAMILY_VERB = true;

export function bindTaskRoutes(bind: Bind, parts: TaskRoutes): void {
  bindCreation(bind, parts);
  bindReading(bind, parts);
  bindVerbs(bind, parts);
  bindTalk(bind, parts);
  bindLinks(bind, parts);
}

function bindLinks(bind: Bind, { linking, boards, reads }: TaskRoutes): void {
  bind(linkParent, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    return withTag(200, await linking.link(present(caller, CALLER), board, params.task, params.parent));
  });
  bind(unlinkParent, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    return withTag(200, await linking.unlink(present(caller, CALLER), board, params.task, params.parent));
  });
  bind(getGraph, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const body = await reads.snapshot(String(board.id), (tx) =>
      linking.graph(tx, present(caller, CALLER), board, params.task),
    );
    return { status: 200, body };
  });
}

function bindVerbs(bind: Bind, { tasks, boards }: TaskRoutes): void {
  bind(patchTask, async ({ caller, params, body, ifMatchVersion }) =>
    withTag(
      200,
      await tasks.patch(
        present(caller, CALLER),
        await boards.resolve(params.board),
        params.task,
        body,
        ifMatchVersion,
      ),
    ),
  );
  bind(deleteTask, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const id = await tasks.delete(present(caller, CALLER), board, params.task);
    return { status: 204, audited: { subject: formatId('task', id) } };
  });
  const operate = async (
    {
      caller,
      params,
    }: { caller: Parameters<TaskService['operate']>[0] | null; params: { board: string; task: string } },
    verb: Parameters<TaskService['operate']>[3],
    isFamilyVerb = false,
  ) => {
    const board = await boards.resolve(params.board);
    return withTag(200, await tasks.operate(present(caller, CALLER), board, params.task, verb, isFamilyVerb));
  };

  bind(promoteTask, (exchange) => operate(exchange, (operation) => operation.promote()));
  bind(unblockTask, (exchange) =>
    operate(exchange, (operation) => operation.unblock(exchange.body.answer ?? null)),
  );
  bind(cancelTask, (exchange) =>
    operate(exchange, (operation) =>
      operation.cancel(exchange.body.reason ?? null, exchange.body.deadline_seconds ?? null),
    ),
  );
  bind(completeTask, (exchange) =>
    operate(
      exchange,
      (operation) =>
        operation.complete({
          summary: exchange.body.summary ?? null,
          result: exchange.body.result ?? null,
          metadata: exchange.body.metadata ?? null,
        }),
      FAMILY_VERB,
    ),
  );
  bind(assignTask, async ({ caller, params, body: { lane, reason = null } }) => {
    const board = await boards.resolve(params.board);
    const given = { lane, reason };
    return withTag(200, await tasks.assign(present(caller, CALLER), board, params.task, given));
  });
  bind(archiveTask, (exchange) => operate(exchange, (operation) => operation.archive()));
  bind(reopenTask, (exchange) => operate(exchange, (operation) => operation.reopen(), FAMILY_VERB));
  bind(scheduleTask, (exchange) =>
    operate(exchange, (operation) => operation.schedule(exchange.body.run_at)),
  );
  bind(acceptTask, (exchange) => operate(exchange, (operation) => operation.accept(), FAMILY_VERB));
  bind(requestTaskChanges, (exchange) =>
    operate(exchange, (operation) => operation.requestChanges(exchange.body.reason)),
  );
}

function bindTalk(bind: Bind, { tasks, boards, wake, idempotency }: TaskRoutes): void {
  bind(steerTask, async (exchange) => {
    const caller = present(exchange.caller, CALLER);
    const board = await boards.resolve(exchange.params.board);
    const { params, body } = exchange;
    return tasks.steer(caller, board, params.task, body.message, (steer) =>
      idempotency.run(exchange, board.id, async (tx) => ({
        status: 201,
        body: { message: await steer(tx) },
      })),
    );
  });

  bind(addComment, async (exchange) => {
    const board = await boards.resolve(exchange.params.board);
    const answer = await idempotency.run(exchange, board.id, async (tx) => ({
      status: 201,
      body: {
        comment: await tasks.comment(
          tx,
          present(exchange.caller, CALLER),
          board,
          exchange.params.task,
          exchange.body.body,
        ),
      },
    }));
    wake.ring(board.id);
    return answer;
  });
}
