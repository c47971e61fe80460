/** Binds the routes of deliveries and of sessions. */
import {
  ackDelivery,
  type ClaimDeliveriesBody,
  claimDeliveries,
  listDeliveries,
  nackDelivery,
  retryDelivery,
} from '../../../contract/deliveries.ts';
import { listSessionMessages } from '../../../contract/sessions.ts';
import { DELIVERY_STATUSES, type DeliveryStatus } from '../../../contract/statuses.ts';
import type { Sql } from '../../db/client.ts';
import { transaction } from '../../db/tx.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { Exchange } from '../../http/exchange.ts';
import type { Idempotency } from '../../http/idempotency.ts';
import { badPageToken, nextPageToken, readPageToken } from '../../http/page-token.ts';
import { pageRows } from '../../http/request-parameters.ts';
import { present } from '../../kernel/assert.ts';
import { boardIdOf, formatId, parseId, type Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { maySeeBoard } from '../auth/service.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import {
  type DeliveryBells,
  type DeliveryRow,
  type DeliveryService,
  deliveryNotFound,
  idOfDelivery,
  type LeaseRef,
} from './service.ts';

interface DeliveryRoutes {
  readonly sql: Sql;
  readonly deliveries: DeliveryService;
  readonly bells: DeliveryBells;
  readonly boards: BoardService;
  readonly idempotency: Idempotency;
}

const CALLER = 'routes of deliveries are not open';
/** Pinned by the wire contract. */
const LEASE_SECONDS = 60;

export function bindDeliveryRoutes(bind: Bind, parts: DeliveryRoutes): void {
  bindClaiming(bind, parts);
  bindVerdicts(bind, parts);
  bindReading(bind, parts);
}

type ClaimExchange = Exchange<typeof claimDeliveries>;

function bindClaiming(bind: Bind, parts: DeliveryRoutes): void {
  const { deliveries, boards } = parts;
  bind(claimDeliveries, async (exchange) => {
    const board = await boards.resolve(exchange.params.board);
    if (exchange.idempotencyKey !== null) return leaseOnce(parts, board, exchange);
    const ask = askOf(exchange);
    const look = async (): Promise<DeliveryRow[] | null> => {
      if (!exchange.isConnected()) return null;
      const rows = await transaction(parts.sql, (tx) => deliveries.lease(tx, board, ask));
      return rows.length === 0 ? null : rows;
    };
    const rows =
      (await (exchange.waitSeconds === null ? look() : waitFor(parts, board, exchange, look))) ?? [];
    return answerWith(parts, board, exchange, rows);
  });
}

function waitFor<T>(
  { bells }: DeliveryRoutes,
  board: BoardRef,
  exchange: ClaimExchange,
  look: () => Promise<T | null>,
): Promise<T | null> {
  const { owner, platforms } = askOf(exchange);
  const { signal } = exchange;
  return bells.wait({ board, owner, platforms, waitSeconds: exchange.waitSeconds ?? 0, signal }, look);
}

async function answerWith(
  { deliveries }: DeliveryRoutes,
  board: BoardRef,
  exchange: ClaimExchange,
  rows: readonly DeliveryRow[],
) {
  if (rows.length > 0)
    // It was not sent for want of a gateway: another one is to have it at once, not when the lease ends.
    exchange.onUndelivered(() => void deliveries.giveBack(board, rows).catch(() => undefined));
  return { status: 200, body: { deliveries: await deliveries.present(board, rows) } };
}

/** What was given out is remembered by its leases, and shown again as far as they hold. Nothing is not remembered. */
async function leaseOnce(parts: DeliveryRoutes, board: BoardRef, exchange: ClaimExchange) {
  const { deliveries, idempotency } = parts;
  const ask = askOf(exchange);
  const attempt = () =>
    idempotency.run(
      exchange,
      board.id,
      async (tx) => {
        const rows = await deliveries.lease(tx, board, ask);
        const remembered =
          rows.length === 0 ? null : rows.map(({ id, lease_id: leaseId }) => ({ id, leaseId }));
        return { status: 200, body: rows, remembered };
      },
      (remembered) => deliveries.findLeased(board, remembered as LeaseRef[]),
    );
  const look = async () => {
    if (!exchange.isConnected()) return null;
    const answer = await attempt();
    const isReplay = answer.headers !== undefined;
    return isReplay || (answer.body as DeliveryRow[]).length > 0 ? answer : null;
  };
  const found = await (exchange.waitSeconds === null ? look() : waitFor(parts, board, exchange, look));
  if (found === null) return { status: 200, body: { deliveries: [] } };
  const rows = found.body as DeliveryRow[];
  return { ...found, body: { deliveries: await deliveries.present(board, rows) } };
}

function askOf({ caller, body }: ClaimExchange) {
  return {
    owner: ownerOf(present(caller, CALLER), body),
    platforms: body.platforms ?? null,
    webhooks: null,
    max: body.max ?? 1,
    leaseSeconds: body.lease_seconds ?? LEASE_SECONDS,
  };
}

/** A key that is bound to an owner takes that owner's, and nothing else. */
function ownerOf(caller: Principal, { owner }: ClaimDeliveriesBody): string | null {
  const bound = boundOwnerOf(caller);
  if (bound === null) return owner ?? null;
  if (!owner || owner === bound) return bound;
  throw new ProblemError('forbidden', `This key is bound to the deliveries of ${JSON.stringify(bound)}.`);
}

/** Null: bound to nobody. */
function boundOwnerOf(caller: Principal): string | null {
  return caller.kind === 'key' ? caller.owner : null;
}

function bindVerdicts(bind: Bind, { deliveries, boards }: DeliveryRoutes): void {
  const found = async (caller: Principal | null, reference: string) => {
    const principal = present(caller, CALLER);
    const id = idOfDelivery(reference);
    const board = await boards.resolveId(boardIdOf(id));
    if (board === null || !maySeeBoard(principal, board.name)) throw deliveryNotFound(reference);
    return { principal, board, id };
  };
  bind(ackDelivery, async ({ caller, params, body }) => {
    const { principal, board, id } = await found(caller, params.delivery);
    return { status: 200, body: { delivery: await deliveries.ack(principal, board, id, body) } };
  });
  bind(nackDelivery, async ({ caller, params, body }) => {
    const { principal, board, id } = await found(caller, params.delivery);
    return { status: 200, body: { delivery: await deliveries.nack(principal, board, id, body) } };
  });
  bind(retryDelivery, async ({ caller, params }) => {
    const { principal, board, id } = await found(caller, params.delivery);
    return { status: 200, body: { delivery: await deliveries.retry(principal, board, id) } };
  });
}

function bindReading(bind: Bind, { deliveries, boards }: DeliveryRoutes): void {
  bind(listDeliveries, async ({ caller, params, query }) => {
    const owner = boundOwnerOf(present(caller, CALLER));
    const board = await boards.resolve(params.board);
    const rows = pageRows(query);
    const statuses = query.status === undefined ? null : statusesOf(query.status);
    const subscriptionId = query.subscription_id === undefined ? null : parseId('sub', query.subscription_id);
    const scope = `deliveries ${board.id} ${JSON.stringify([statuses, subscriptionId, owner])}`;
    const [position] = readPageToken(query.page_token, scope, 1) ?? [];
    const beforeId = position === undefined ? null : idAt('dlv', position);
    const page = { beforeId, rowsMax: rows + 1 };
    const found = await deliveries.list(board, { statuses, subscriptionId, owner }, page);
    return {
      status: 200,
      body: {
        deliveries: found.slice(0, rows),
        next_page_token: nextPageToken(found, rows, scope, ({ id }) => [id]),
      },
    };
  });

  bind(listSessionMessages, async ({ caller, params, query }) => {
    const owner = boundOwnerOf(present(caller, CALLER));
    const board = await boards.resolve(params.board);
    const rows = pageRows(query);
    const scope = `messages ${board.id} ${params.session} ${JSON.stringify(owner)}`;
    const [us, id] = readPageToken(query.page_token, scope, 2) ?? [];
    const after =
      us === undefined || id === undefined ? null : { us: microsecondsAt(us), id: idAt('dlv', id) };
    const found = await deliveries.listMessages(
      board,
      { sessionId: params.session, owner },
      { after, rowsMax: rows + 1 },
    );
    const messages = found
      .slice(0, rows)
      .map(({ delivery_id, at_us: _us, task_id, delegation_id, ...message }) => ({
        delivery_id: formatId('dlv', delivery_id),
        task_id: task_id === null ? null : formatId('task', task_id),
        delegation_id: delegation_id === null ? null : formatId('deleg', delegation_id),
        ...message,
      }));
    const next = nextPageToken(found, rows, scope, (row) => [
      String(row.at_us),
      formatId('dlv', row.delivery_id),
    ]);
    return { status: 200, body: { messages, next_page_token: next } };
  });
}

function idAt(prefix: 'dlv', text: string): Uuid {
  const id = parseId(prefix, text);
  if (id === null) throw badPageToken();
  return id;
}

/** Sixteen digits last until 2286. */
function microsecondsAt(text: string): string {
  if (!/^\d{1,16}$/.test(text)) throw badPageToken();
  return text;
}

function statusesOf(words: string): DeliveryStatus[] {
  return words.split(',').map((word) => {
    const status = DELIVERY_STATUSES.find((known) => known === word);
    if (status !== undefined) return status;
    const errors = [{ pointer: '/status', detail: `${JSON.stringify(word)} is no status of deliveries` }];
    throw new ProblemError('invalid_request', 'The filter names an unknown status.', { errors });
  });
}
