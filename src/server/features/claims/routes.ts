/** Binds the routes of claims and runs. */
import { claimTasks, takeOverLane } from '../../../contract/claims.ts';
import { listOutput } from '../../../contract/outputs.ts';
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
} from '../../../contract/runs.ts';
import type { EmptyClaimReason } from '../../../contract/statuses.ts';
import { listTaskRuns } from '../../../contract/task-routes.ts';
import type { Wake } from '../../db/wake.ts';
import { type Bind, pageRows } from '../../http/bind-route.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { asProblem, problemBody } from '../../http/on-error.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { present, unreachable } from '../../kernel/assert.ts';
import { formatId } from '../../kernel/ids.ts';
import type { ClaimPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { type ClaimTokens, maySeeBoard } from '../auth/service.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import type { LaneService } from '../lanes/service.ts';
import type { TaskService } from '../tasks/service.ts';
import { type BoardFeeds, cursorAt } from '../watch/service.ts';
import type { ClaimedTasks, Claiming } from './claiming.ts';
import type { HandingOver } from './handing-over.ts';
import type { Inbox } from './inbox.ts';
import type { Outputs } from './outputs.ts';
import { type Returns, undeliveredOf } from './returns.ts';
import { blockEnd, completeEnd, failEnd, holdOf, releaseEnd } from './run-operation.ts';
import type { Running } from './running.ts';
import type { Takeovers } from './takeover.ts';
import type { ClaimWaiters } from './waiters.ts';

const CALLER = 'routes of claims are not open';
/** The column is a Postgres integer. */
const ATTEMPT_MAX = 2 ** 31 - 1;

interface ClaimRoutes {
  readonly claiming: Claiming;
  readonly handingOver: HandingOver;
  readonly running: Running;
  readonly outputs: Outputs;
  readonly inbox: Inbox;
  readonly waiters: ClaimWaiters;
  readonly takeovers: Takeovers;
  readonly boards: BoardService;
  readonly lanes: LaneService;
  readonly tasks: TaskService;
  readonly tokens: ClaimTokens;
  readonly feeds: BoardFeeds;
  readonly idempotency: Idempotency;
  readonly wake: Wake;
  readonly returns: Returns;
}

export function bindClaimRoutes(bind: Bind, parts: ClaimRoutes): void {
  bindClaiming(bind, parts);
  bindRunVerbs(bind, parts);
  bindRunBatch(bind, parts);
  bindRunReading(bind, parts);
  bindTakeover(bind, parts);
}

type ClaimExchange = Exchange<typeof claimTasks>;

function bindClaiming(bind: Bind, parts: ClaimRoutes): void {
  const { handingOver, boards, feeds } = parts;
  bind(claimTasks, async (exchange) => {
    const board = await boards.resolve(exchange.params.board);
    if (exchange.idempotencyKey !== null) return claimOnce(parts, board, exchange);
    const claimed = await claimWaiting(parts, board, exchange, () => claimNow(parts, board, exchange));
    if (claimed.rows.length > 0) returnWhenUndelivered(parts, board, exchange, claimed);
    try {
      const claims = await handingOver.present(board, claimed.rows);
      const reason = claimed.reason === null ? {} : { reason: claimed.reason };
      return { status: 200, body: { claims, cursor: await cursorOf(feeds, board, claimed.rows), ...reason } };
    } catch (error) {
      giveBack(parts, board, claimed);
      throw error;
    }
  });
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
  const { running, outputs, inbox } = parts;
  bind(appendOutput, async ({ caller, body, bodyBytes }) => {
    const claim = claimOf(caller);
    const board = await boardOfClaim(parts, claim);
    return { status: 200, body: await outputs.append(board, claim, body.lines, bodyBytes) };
  });
  bind(acknowledgeMessages, async ({ caller, body }) => {
    const claim = claimOf(caller);
    const acknowledged = await inbox.acknowledge(await boardOfClaim(parts, claim), claim, body.ids);
    return { status: 200, body: { acknowledged } };
  });
  bind(heartbeatRun, async ({ caller, body, bodyBytes }) => {
    const claim = claimOf(caller);
    return {
      status: 200,
      body: await running.heartbeat(
        await boardOfClaim(parts, claim),
        { ...holdOf(claim), claim, body },
        bodyBytes,
      ),
    };
  });
  bind(completeRun, async ({ caller, body, bodyBytes }) => {
    const claim = claimOf(caller);
    return {
      status: 200,
      body: await running.end(await boardOfClaim(parts, claim), completeEnd(claim, body), bodyBytes),
    };
  });
  bind(blockRun, async ({ caller, body, bodyBytes }) => {
    const claim = claimOf(caller);
    return {
      status: 200,
      body: await running.end(await boardOfClaim(parts, claim), blockEnd(claim, body), bodyBytes),
    };
  });
  bind(releaseRun, async ({ caller, body, bodyBytes }) => {
    const claim = claimOf(caller);
    return {
      status: 200,
      body: await running.end(await boardOfClaim(parts, claim), releaseEnd(claim, body), bodyBytes),
    };
  });
  bind(failRun, async ({ caller, body, bodyBytes }) => {
    const claim = claimOf(caller);
    return {
      status: 200,
      body: await running.end(await boardOfClaim(parts, claim), failEnd(claim, body), bodyBytes),
    };
  });
}

function bindRunBatch(bind: Bind, parts: ClaimRoutes): void {
  bind(batchRuns, async ({ body, bodyBytes, requestId }) => {
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
  });
}

/** Each operation is authorised by its own token; all of a board land in the same gathered statement. */
async function runOperation(parts: ClaimRoutes, operation: RunOperation, bytes: number) {
  const { running, outputs, tokens } = parts;
  const claim = await tokens.verify(operation.token);
  const board = await boardOfClaim(parts, claim);
  switch (operation.op) {
    case 'heartbeat':
      return running.heartbeat(board, { ...holdOf(claim), claim, body: bodyOf(operation) }, bytes);
    case 'complete':
      return running.end(board, completeEnd(claim, bodyOf(operation)), bytes);
    case 'block':
      return running.end(board, blockEnd(claim, bodyOf(operation)), bytes);
    case 'release':
      return running.end(board, releaseEnd(claim, bodyOf(operation)), bytes);
    case 'fail':
      return running.end(board, failEnd(claim, bodyOf(operation)), bytes);
    case 'output':
      return outputs.append(board, claim, operation.lines, bytes);
    default:
      return unreachable(operation);
  }
}

/** The body alone, so that an end over the batch and over its own route are known as the same. */
function bodyOf<T extends { readonly op: string; readonly token: string }>({
  op: _op,
  token: _token,
  ...body
}: T): Omit<T, 'op' | 'token'> {
  return body;
}

function bindRunReading(bind: Bind, { running, outputs, boards, tasks }: ClaimRoutes): void {
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

function bindTakeover(bind: Bind, { takeovers, handingOver, boards, lanes }: ClaimRoutes): void {
  bind(takeOverLane, async (exchange) => {
    const { caller, params, body } = exchange;
    const board = await boards.resolve(params.board);
    const adopted = await takeovers.takeOver(present(caller, CALLER), board, params.lane, body);
    try {
      const runIds = adopted.map(({ runId }) => formatId('run', runId));
      const claims = await handingOver.presentAgain(board, runIds);
      exchange.onUndelivered(() => takeovers.giveBack(board, adopted));
      return { status: 200, body: { lane: await lanes.get(board, params.lane), claims } };
    } catch (error) {
      takeovers.giveBack(board, adopted);
      throw error;
    }
  });
}
