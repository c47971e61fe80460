/** Binds the routes of claims and runs: here the verbs of holders and what is read of runs; claiming and taking over have files of their own. */
import { getContext } from '../../../contract/context.ts';
import { listOutput } from '../../../contract/outputs.ts';
import type { Route } from '../../../contract/route.ts';
import {
  acknowledgeMessages,
  appendOutput,
  batchRuns,
  blockRun,
  completeRun,
  failRun,
  getRun,
  heartbeatRun,
  type RunOperation,
  releaseRun,
  requestRunChanges,
} from '../../../contract/runs.ts';
import { listTaskRuns, reclaimTask } from '../../../contract/task-routes.ts';
import type { Bind, BindOptions } from '../../http/bind-route.ts';
import type { Exchange } from '../../http/exchange.ts';
import { asProblem, problemBody } from '../../http/on-error.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import type { ClaimPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { type ClaimTokens, maySeeBoard } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import type { TaskService } from '../tasks/service.ts';
import { bindClaiming, CLAIM_PATH, type ClaimingRoutes } from './claiming/claiming-routes.ts';
import type { TaskContext } from './claiming/task-context.ts';
import type { Outputs } from './output/outputs.ts';
import type { Reclaiming } from './run/reclaiming.ts';
import { operateRun, type RunCall } from './run/run-verbs.ts';
import type { Running } from './run/running.ts';
import type { Inbox } from './steering/inbox.ts';
import { bindTakeover, type TakeoverRoutes } from './takeover/takeover-routes.ts';

const CALLER = 'routes of claims are not open';
/** The column is a Postgres integer. */
const ATTEMPT_MAX = 2 ** 31 - 1;

interface ClaimRoutes extends ClaimingRoutes, TakeoverRoutes {
  readonly running: Running;
  readonly reclaiming: Reclaiming;
  readonly outputs: Outputs;
  readonly context: TaskContext;
  readonly inbox: Inbox;
  readonly tasks: TaskService;
  readonly tokens: ClaimTokens;
}

export function bindClaimRoutes(bind: Bind, parts: ClaimRoutes): void {
  bindClaiming(bind, parts);
  bindRunVerbs(bind, parts);
  bindRunBatch(bind, parts);
  bindRunReading(bind, parts);
  bindTakeover(bind, parts);
  bindReclaim(bind, parts);
}

function bindReclaim(bind: Bind, { reclaiming, boards }: ClaimRoutes): void {
  bind(reclaimTask, async ({ caller, params, body }) => {
    const board = await boards.resolve(params.board);
    const reason = body.reason ?? null;
    const task = await reclaiming.reclaim(present(caller, CALLER), board, params.task, reason);
    return { status: 200, body: { task }, headers: { ETag: `"${task.version}"` } };
  });
}

/** The board of a claim token; a board that is gone took the claim with it. */
async function boardOfClaim(
  { boards }: Pick<ClaimRoutes, 'boards'>,
  claim: ClaimPrincipal,
): Promise<BoardRef> {
  return boards.resolve(claim.board);
}

function claimOf(caller: Principal | null): ClaimPrincipal {
  if (caller?.kind === 'claim') return caller;
  throw new ProblemError('claim_token_required', 'Use the token that came with the claim.');
}

function bindRunVerbs(bind: Bind, parts: ClaimRoutes): void {
  const bindVerb = <R extends Route>(
    route: R,
    callOf: (body: Exchange<R>['body']) => RunCall,
    options: BindOptions = CLAIM_PATH,
  ): void =>
    bind(
      route,
      async ({ caller, body, bodyBytes }) => {
        const claim = claimOf(caller);
        const board = await boardOfClaim(parts, claim);
        return { status: 200, body: await operateRun(parts, board, claim, callOf(body), bodyBytes) };
      },
      options,
    );
  bindVerb(heartbeatRun, (body) => ({ verb: 'heartbeat', body }));
  bindVerb(completeRun, (body) => ({ verb: 'complete', body }));
  bindVerb(requestRunChanges, (body) => ({ verb: 'request-changes', body }));
  bindVerb(blockRun, (body) => ({ verb: 'block', body }));
  bindVerb(releaseRun, (body) => ({ verb: 'release', body }));
  bindVerb(failRun, (body) => ({ verb: 'fail', body }));
  bindVerb(appendOutput, (body) => ({ verb: 'output', body }));
  bindVerb(acknowledgeMessages, (body) => ({ verb: 'ack', body }), {});
}

function bindRunBatch(bind: Bind, parts: ClaimRoutes): void {
  bind(
    batchRuns,
    async ({ body, bodyBytes, requestId }) => {
      // Each counts for its share of the request: what matters is the sum.
      const bytes = Math.ceil(bodyBytes / body.operations.length);
      const results = await Promise.all(
        body.operations.map(async (operation) => {
          try {
            return { ok: true, ...(await runOperation(parts, operation, bytes)) };
          } catch (error) {
            return { ok: false, problem: problemBody(asProblem(error), requestId) };
          }
        }),
      );
      return { status: 200, body: { results } };
    },
    CLAIM_PATH,
  );
}

/** Each operation is authorised by its own token; all of a board land in the same gathered statement. */
async function runOperation(parts: ClaimRoutes, operation: RunOperation, bytes: number) {
  const { op: verb, token, ...body } = operation;
  const claim = await parts.tokens.verify(token);
  const board = await boardOfClaim(parts, claim);
  // One schema has read both: the compiler loses that the verb and the rest belong together.
  return operateRun(parts, board, claim, { verb, body } as RunCall, bytes);
}

function bindRunReading(bind: Bind, { running, outputs, context, boards, tasks }: ClaimRoutes): void {
  bind(getContext, async ({ caller, params }) => {
    const board = await boards.resolve(params.board);
    const text = await context.read(present(caller, CALLER), board, params.task);
    return { status: 200, body: { text } };
  });
  bind(listOutput, async ({ caller, params }) => {
    const principal = present(caller, CALLER);
    const board = await boards.resolve(params.board);
    const id = await tasks.resolve(principal, board, params.task);
    await tasks.get(principal, board, params.task);
    return { status: 200, body: { lines: await outputs.list(board, id) } };
  });
  bind(getRun, async ({ caller, params }) => {
    const principal = present(caller, CALLER);
    const run = await running.get(
      (id) => boards.resolveId(id),
      (board) => maySeeBoard(principal, board.name),
      params.run,
    );
    return { status: 200, body: { run } };
  });
  bind(listTaskRuns, async ({ caller, params, query }) => {
    const rows = pageRows(query);
    const board = await boards.resolve(params.board);
    const principal = present(caller, CALLER);
    const id = await tasks.resolve(principal, board, params.task);
    await tasks.get(principal, board, params.task);
    const scope = `runs ${board.id} ${params.task}`;
    const after = Number(readPageToken(query.page_token, scope, 1)?.[0] ?? 0);
    if (!Number.isInteger(after) || after < 0 || after > ATTEMPT_MAX) throw badPageToken();
    const found = await running.listOfTask(board, id, after, rows + 1);
    return {
      status: 200,
      body: {
        runs: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, scope, (run) => [String(run.attempt)]),
      },
    };
  });
}
