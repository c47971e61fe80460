/** Binds the routes of claims and runs. */
import { claimTasks } from '../../../contract/claims.ts';
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
import type { EmptyClaimReason } from '../../../contract/statuses.ts';
import { listTaskRuns, reclaimTask } from '../../../contract/task-routes.ts';
import type { Wake } from '../../db/wake.ts';
import { type Bind, type BindOptions, pageRows } from '../../http/bind-route.ts';
import type { Exchange } from '../../http/exchange.ts';
import { asProblem, problemBody } from '../../http/on-error.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { present } from '../../kernel/assert.ts';
import { formatId } from '../../kernel/ids.ts';
import type { ClaimPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { type ClaimTokens, maySeeBoard } from '../auth/service.ts';
import type { BoardRef } from '../boards/service.ts';
import type { TaskService } from '../tasks/service.ts';
import { type BoardFeeds, cursorAt } from '../watch/service.ts';
import type { Claiming } from './claiming/claiming.ts';
import { type Returns, undeliveredOf } from './claiming/returns.ts';
import type { ClaimedTasks } from './claiming/slot-plan.ts';
import type { TaskContext } from './claiming/task-context.ts';
import type { ClaimWaiters } from './claiming/waiters.ts';
import type { Outputs } from './output/outputs.ts';
import type { Reclaiming } from './run/reclaiming.ts';
import { operateRun, type RunCall } from './run/run-verbs.ts';
import type { Running } from './run/running.ts';
import type { Inbox } from './steering/inbox.ts';
import { bindTakeover, type TakeoverRoutes } from './takeover/takeover-routes.ts';

const CALLER = 'routes of claims are not open';
/** Gathered, and on connections of their own. */
const CLAIM_PATH: BindOptions = { isGathered: () => true };
/** The column is a Postgres integer. */
const ATTEMPT_MAX = 2 ** 31 - 1;

interface ClaimRoutes extends TakeoverRoutes {
  readonly claiming: Claiming;
  readonly running: Running;
  readonly reclaiming: Reclaiming;
  readonly outputs: Outputs;
  readonly context: TaskContext;
  readonly inbox: Inbox;
  readonly waiters: ClaimWaiters;
  readonly tasks: TaskService;
  readonly tokens: ClaimTokens;
  readonly feeds: BoardFeeds;
  readonly wake: Wake;
  readonly returns: Returns;
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

type ClaimExchange = Exchange<typeof claimTasks>;

function bindClaiming(bind: Bind, parts: ClaimRoutes): void {
  const { handingOver, boards, feeds } = parts;
  bind(
    claimTasks,
    async (exchange) => {
      const board = await boards.resolve(exchange.params.board);
      if (exchange.idempotencyKey !== null) return claimOnce(parts, board, exchange);
      const claimed = await claimWaiting(parts, board, exchange, () => claimNow(parts, board, exchange));
      if (claimed.rows.length > 0) returnWhenUndelivered(parts, board, exchange, claimed);
      try {
        const claims = await handingOver.present(board, claimed.rows);
        const reason = claimed.reason === null ? {} : { reason: claimed.reason };
        return {
          status: 200,
          body: { claims, cursor: await cursorOf(feeds, board, claimed.rows), ...reason },
        };
      } catch (error) {
        giveBack(parts, board, claimed);
        throw error;
      }
    },
    CLAIM_PATH,
  );
}

/** Where to watch from: the position of the claim itself, or the newest when there is none. */
async function cursorOf(
  feeds: BoardFeeds,
  board: BoardRef,
  rows: ClaimedTasks['rows'] | undefined,
): Promise<string> {
  const [first] = rows ?? [];
  return first === undefined ? feeds.cursor(undefined, board) : cursorAt(board, first.log_seq);
}

async function claimNow(
  { claiming }: ClaimRoutes,
  board: BoardRef,
  { caller, params, body, waitSeconds, signal }: ClaimExchange,
): Promise<ClaimedTasks> {
  const principal = present(caller, CALLER);
  const request = claiming.requestOf(principal, params.lane, body, waitSeconds !== null);
  return body.task_id
    ? claiming.claimNamed(principal, board, request, body.task_id)
    : claiming.claim(board, request, waitSeconds === null ? undefined : signal);
}

/** Tries at once, and then whenever there may be work; never for a client that has gone. */
async function claimWaiting(
  { waiters }: ClaimRoutes,
  board: BoardRef,
  { params, waitSeconds, signal, isConnected }: ClaimExchange,
  tryClaim: () => Promise<ClaimedTasks>,
): Promise<ClaimedTasks> {
  let last = await tryClaim();
  if (last.rows.length > 0 || waitSeconds === null) return last;
  const found = await waiters.wait(board, params.lane, waitSeconds, signal, async () => {
    if (!isConnected()) return last;
    last = await tryClaim();
    return last.rows.length > 0 ? last : null;
  });
  return found ?? last;
}

/** What the client never received is ready again at once, instead of after its lease. */
function returnWhenUndelivered(
  parts: ClaimRoutes,
  board: BoardRef,
  exchange: ClaimExchange,
  claimed: ClaimedTasks,
): void {
  exchange.onUndelivered(() => giveBack(parts, board, claimed));
}

function giveBack({ returns }: ClaimRoutes, board: BoardRef, { rows }: ClaimedTasks): void {
  for (const row of rows)
    returns.give(board, undeliveredOf(row), 'The claim could not be delivered to the client.');
}

/** Under an Idempotency-Key: the claim and its memory commit together; a repeated request gets the claims that still hold. */
async function claimOnce(parts: ClaimRoutes, board: BoardRef, exchange: ClaimExchange) {
  const { claiming, handingOver, feeds, idempotency } = parts;
  const { caller, params, body } = exchange;
  const request = claiming.requestOf(
    present(caller, CALLER),
    params.lane,
    body,
    exchange.waitSeconds !== null,
  );
  if (body.task_id)
    throw new ProblemError(
      'invalid_request',
      'Name a task or give an Idempotency-Key, not both: a named claim is already exact.',
    );
  let reason: EmptyClaimReason | null = null;
  const answerOnce = () =>
    idempotency.run(
      exchange,
      board.id,
      async (tx) => {
        const claimed = await claiming.claimWithin(tx, board, request);
        reason = claimed.reason;
        // An empty claim is not recorded: the same key may find work later.
        const runIds = claimed.rows.map((row) => formatId('run', row.run_id));
        return { status: 200, body: claimed, remembered: runIds.length === 0 ? null : { run_ids: runIds } };
      },
      async (remembered) => ({ again: (remembered as { run_ids: string[] }).run_ids }),
    );
  let answer = await answerOnce();
  const isEmpty = (): boolean => (answer.body as ClaimedTasks).rows?.length === 0;
  if (isEmpty() && exchange.waitSeconds !== null) {
    await parts.waiters.wait(board, params.lane, exchange.waitSeconds, exchange.signal, async () => {
      if (exchange.isConnected()) answer = await answerOnce();
      return isEmpty() && exchange.isConnected() ? null : true;
    });
  }
  const again = (answer.body as { again?: string[] }).again;
  if (!again && !isEmpty()) parts.wake.ring(board.id);
  const claims = again
    ? await handingOver.presentAgain(board, again)
    : await handingOver.present(board, (answer.body as ClaimedTasks).rows);
  const why = claims.length === 0 ? { reason: reason ?? ('none_ready' as const) } : {};
  return {
    ...answer,
    body: { claims, cursor: await cursorOf(feeds, board, (answer.body as ClaimedTasks).rows), ...why },
  };
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
