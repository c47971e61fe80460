/**
 * Deliveries: given out under a lease, and what is said of them. Everything that was given out and not heard of again is given out anew with
 * the same id and the same text, so a gateway that dies loses nothing and may at most say it twice.
 */

import type {
  AckDeliveryBody,
  Delivery,
  LeasedDelivery,
  NackDeliveryBody,
} from '../../../contract/deliveries.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import type { BoardRef } from '../boards/service.ts';
import { backoffSeconds, FAILURES_MAX } from './backoff.ts';
import { assertLeased, deliveryNotFound, notRetryable, unfollowed } from './delivery-problems.ts';
import {
  findLeased,
  giveBackLeases,
  keepTexts,
  type LeaseAsk,
  leaseDeliveries,
  lockGivingOut,
} from './store/lease.ts';
import { ackRow, buryRow, dropUnfollowed, postponeRow } from './store/outcome.ts';
import {
  type DeliveryFilter,
  type DeliveryRow,
  findDelivery,
  holdSubscriptionOf,
  listDeliveries,
  listSessionMessages,
  lockDelivery,
  type MessageFilter,
  type MessagePosition,
  type SessionMessageRow,
} from './store/row.ts';
import { Telling } from './telling.ts';
import { deliveryOf } from './view.ts';

export { DeliveryBells } from './bells.ts';
export { deliveryNotFound, idOfDelivery } from './delivery-problems.ts';
export { lockGivingOut } from './store/lease.ts';
export { type DeliveryRow, deliveryColumns } from './store/row.ts';
export { textOfDelegation } from './text.ts';

interface DeliveryParts {
  readonly sql: Sql;
  readonly wake: Wake;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Called behind the commit. */
  readonly onOutcome: (outcome: 'acked' | 'nacked' | 'deferred' | 'dead') => void;
  /** Of one that is over; null: nobody asks. */
  readonly onOver: ((board: BoardRef, delivery: Delivery) => void) | null;
}

/** Looks of one request that may find only what nobody follows any more: the rest is for the next. */
const LEASE_ROUNDS_MAX = 5;

/** What a lease is known by. */
export interface LeaseRef {
  readonly id: Uuid;
  readonly leaseId: string;
}

export class DeliveryService {
  readonly #parts: DeliveryParts;
  readonly #telling: Telling;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#telling = new Telling(parts.sql);
  }

  /** Within the caller's transaction. */
  async lease(tx: Tx, board: BoardRef, ask: LeaseAsk): Promise<DeliveryRow[]> {
    await lockGivingOut(tx, board.id);
    const rows = await this.#leaseFollowed(tx, board, ask);
    const texts = await this.#telling.textsOf(
      tx,
      board,
      rows.filter(({ text }) => text === null),
    );
    if (texts.size > 0)
      await keepTexts(
        tx,
        board.id,
        [...texts].map(([id, text]) => ({ id, text })),
      );
    return rows
      .map((row) => ({ ...row, text: row.text ?? texts.get(row.id) ?? '' }))
      .sort((left, right) =>
        left.due_at < right.due_at || (left.due_at === right.due_at && left.id < right.id) ? -1 : 1,
      );
  }

  async #leaseFollowed(tx: Tx, board: BoardRef, ask: LeaseAsk): Promise<DeliveryRow[]> {
    const leased: DeliveryRow[] = [];
    for (let round = 0; round < LEASE_ROUNDS_MAX; round += 1) {
      const rows = await leaseDeliveries(tx, board.id, { ...ask, max: ask.max - leased.length });
      if (rows.length === 0) break;
      const ids = rows.map(({ id }) => id);
      const gone = await dropUnfollowed(tx, board.id, ids);
      leased.push(...rows.filter(({ id }) => !gone.has(id)));
      if (gone.size === 0) break;
    }
    return leased;
  }

  /** What would be told of each, directly. */
  textsOf(tx: Tx, board: BoardRef, rows: readonly DeliveryRow[]): Promise<Map<Uuid, string>> {
    return this.#telling.textsOf(tx, board, rows);
  }

  present(board: BoardRef, rows: readonly DeliveryRow[]): Promise<LeasedDelivery[]> {
    return this.#telling.present(board, rows);
  }

  /** For an answer that is given again: what of it still holds. */
  async findLeased(board: BoardRef, leases: readonly LeaseRef[]): Promise<DeliveryRow[]> {
    return withinDeadline(findLeased(this.#parts.sql, board.id, leases));
  }

  async giveBack(board: BoardRef, rows: readonly Pick<DeliveryRow, 'id' | 'lease_id'>[]): Promise<void> {
    await withinDeadline(giveBackLeases(this.#parts.sql, board.id, rows));
    this.#parts.wake.ring(board.id);
  }

  /** Of a key. */
  async ack(caller: Principal, board: BoardRef, id: Uuid, body: AckDeliveryBody): Promise<Delivery> {
    return this.#ack({ actor: actorOf(caller), caller }, board, id, body);
  }

  /** Of the server itself. */
  async ackAs(actor: ActorRef, board: BoardRef, id: Uuid, body: AckDeliveryBody): Promise<Delivery> {
    return this.#ack({ actor, caller: null }, board, id, body);
  }

  async nack(caller: Principal, board: BoardRef, id: Uuid, body: NackDeliveryBody): Promise<Delivery> {
    return this.#nack({ actor: actorOf(caller), caller }, board, id, body);
  }

  async nackAs(actor: ActorRef, board: BoardRef, id: Uuid, body: NackDeliveryBody): Promise<Delivery> {
    return this.#nack({ actor, caller: null }, board, id, body);
  }

  async #ack(
    sayer: Sayer,
    board: BoardRef,
    id: Uuid,
    { lease_id: leaseId, success, message_id: messageId, error }: AckDeliveryBody,
  ): Promise<Delivery> {
    if (success === false)
      return this.#nack(sayer, board, id, {
        lease_id: leaseId,
        error: error ?? 'the gateway says that it failed',
      });
    return this.#decide(sayer, board, id, async (tx, row) => {
      if (row.status === 'acked' && row.lease_id === leaseId) return null;
      assertLeased(row, leaseId);
      await ackRow(tx, board.id, id, messageId ?? null);
      return { kind: 'delivery.acked', data: { message_id: messageId ?? null, attempt: row.attempt } };
    });
  }

  async #nack(
    sayer: Sayer,
    board: BoardRef,
    id: Uuid,
    { lease_id: leaseId, error, permanent, defer_seconds: deferSeconds }: NackDeliveryBody,
  ): Promise<Delivery> {
    const said = await this.#decide(sayer, board, id, async (tx, row) => {
      assertLeased(row, leaseId);
      if (deferSeconds) {
        const { failures } = row;
        await postponeRow(tx, board.id, id, { delaySeconds: deferSeconds, failures, error: error ?? null });
        return null;
      }
      return this.#fail(tx, board, row, {
        error: error ?? 'no reason given',
        isPermanent: permanent === true,
      });
    });
    if (said.status === 'pending') this.#parts.onOutcome(deferSeconds ? 'deferred' : 'nacked');
    return said;
  }

  async #fail(
    tx: Tx,
    board: BoardRef,
    row: DeliveryRow,
    { error, isPermanent }: { error: string; isPermanent: boolean },
  ): Promise<Decision | null> {
    const failures = row.failures + 1;
    if (!isPermanent && failures < FAILURES_MAX) {
      const delaySeconds = backoffSeconds(failures, this.#parts.random());
      await postponeRow(tx, board.id, row.id, { delaySeconds, failures, error });
      return null;
    }
    await buryRow(tx, board.id, row.id, { failures, error });
    return { kind: 'delivery.dead', data: { error, failures, is_permanent: isPermanent } };
  }

  /** By hand, now. */
  async retry(caller: Principal, board: BoardRef, id: Uuid): Promise<Delivery> {
    let isFollowed = false;
    const hold = async (tx: Tx): Promise<void> => {
      isFollowed = await holdSubscriptionOf(tx, board.id, id);
    };
    return this.#decide({ actor: actorOf(caller), caller, hold }, board, id, async (tx, row) => {
      if (!isFollowed) throw unfollowed(row.status);
      if (row.status !== 'dead' && row.status !== 'pending') throw notRetryable(row.status);
      await postponeRow(tx, board.id, id, { delaySeconds: 0, failures: 0, error: null });
      return null;
    });
  }

  async list(
    board: BoardRef,
    filter: DeliveryFilter,
    page: { readonly beforeId: Uuid | null; readonly rowsMax: number },
  ): Promise<Delivery[]> {
    const rows = listDeliveries(this.#parts.sql, board.id, filter, page);
    return (await withinDeadline(rows)).map((row) => deliveryOf(board, row));
  }

  listMessages(
    board: BoardRef,
    of: MessageFilter,
    page: { readonly after: MessagePosition | null; readonly rowsMax: number },
  ): Promise<SessionMessageRow[]> {
    return withinDeadline(listSessionMessages(this.#parts.sql, board.id, of, page));
  }

  async #decide(
    { actor, caller, hold }: Sayer,
    board: BoardRef,
    id: Uuid,
    decide: (tx: Tx, row: DeliveryRow) => Promise<Decision | null>,
  ): Promise<Delivery> {
    const { sql, wake, onOutcome, onOver } = this.#parts;
    const { found, decision } = await transaction(sql, async (tx) => {
      await hold?.(tx);
      const row = await lockDelivery(tx, board.id, id);
      if (row === null || (caller !== null && !isOwn(caller, row)))
        throw deliveryNotFound(formatId('dlv', id));
      const decision = await decide(tx, row);
      if (decision !== null) await appendEvents(tx, board.id, { events: [eventOf(row, decision, actor)] });
      return { found: await findDelivery(tx, board.id, id), decision };
    });
    wake.ring(board.id);
    if (decision !== null) onOutcome(decision.kind === 'delivery.acked' ? 'acked' : 'dead');
    if (found === null) throw deliveryNotFound(formatId('dlv', id));
    const delivery = deliveryOf(board, found);
    if (decision !== null) onOver?.(board, delivery);
    return delivery;
  }
}

/** Who says what became of it. */
interface Sayer {
  readonly actor: ActorRef;
  /** Null: the server, which may say it of any. */
  readonly caller: Principal | null;
  /** What is locked before the delivery. */
  readonly hold?: (tx: Tx) => Promise<void>;
}

interface Decision {
  readonly kind: 'delivery.acked' | 'delivery.dead';
  readonly data: Readonly<Record<string, unknown>>;
}

/** A key that is bound to an owner sees no other's. */
function isOwn(caller: Principal, row: Pick<DeliveryRow, 'owner'>): boolean {
  return caller.kind === 'key' && (caller.owner === null || caller.owner === row.owner);
}

function eventOf(row: DeliveryRow, { kind, data }: Decision, actor: ActorRef): NewEvent {
  return {
    kind,
    taskId: row.task_id,
    delegationId: row.delegation_id,
    actor,
    data: {
      delivery_id: formatId('dlv', row.id),
      subscription_id: formatId('sub', row.subscription_id),
      ...data,
    },
  };
}
