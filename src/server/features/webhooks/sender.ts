/**
 * Delivers to webhooks, on every server: what is due is taken under a lease as a gateway takes it, signed as Standard Webhooks has it, posted,
 * and acked or nacked by the answer. Many are under way at once, so that one that does not answer holds up nobody else's.
 */
import { Webhook } from 'standardwebhooks';
import type { LeasedDelivery } from '../../../contract/deliveries.ts';
import type { Sql } from '../../db/client.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import type { SecretBox } from '../auth/service.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import type { DeliveryService } from '../deliveries/service.ts';
import { postGuarded, RefusedAddressError, type TrustedHosts } from './guarded-post.ts';
import { findWebhooks, listBoardsWithDueWebhooks, type WebhookRow } from './store.ts';

interface SenderParts {
  readonly sql: Sql;
  readonly boards: Pick<BoardService, 'resolveId'>;
  readonly deliveries: DeliveryService;
  readonly secrets: SecretBox;
  readonly trusted: TrustedHosts;
  readonly now: () => Date;
  readonly onError: (error: unknown) => void;
}

/** Posts under way at once, each some KiB and a socket. */
const IN_FLIGHT_MAX = 100;
/** Of one board in one go: others are to have room. */
const PER_BOARD_MAX = 25;
const BOARDS_PER_SWEEP_MAX = 100;
/** Six times what a post may take. */
const LEASE_SECONDS = 30;
/** What a receiver may ask for is bounded by what a pause is bounded by. */
const RETRY_AFTER_SECONDS_MAX = 300;

const GONE = 410;

/** Nobody's key: the server itself. */
const SENDER = { type: 'system', id: 'webhooks' } as const;

export class WebhookSender {
  readonly #parts: SenderParts;
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Takes what is due, as far as there is room, and does not wait for what becomes of it. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { sql, boards } = this.#parts;
    for (const boardId of await withinDeadline(listBoardsWithDueWebhooks(sql, BOARDS_PER_SWEEP_MAX))) {
      const room = Math.min(PER_BOARD_MAX, IN_FLIGHT_MAX - this.#underWay.size);
      if (room <= 0 || signal.aborted) return;
      const board = await boards.resolveId(boardId);
      if (board !== null) await this.#take(board, room, signal);
    }
  }

  async #take(board: BoardRef, max: number, signal: AbortSignal): Promise<void> {
    const { sql, deliveries } = this.#parts;
    const ask = { owner: null, platforms: null, isWebhook: true, max, leaseSeconds: LEASE_SECONDS };
    const rows = await transaction(sql, (tx) => deliveries.lease(tx, board, ask));
    if (rows.length === 0) return;
    const subscriptionIds = [...new Set(rows.map((row) => row.subscription_id))];
    const webhooks = await withinDeadline(findWebhooks(sql, board.id, subscriptionIds));
    for (const leased of await deliveries.present(board, rows)) {
      const webhook = webhooks.get(parseId('sub', leased.subscription.id) as Uuid);
      if (webhook !== undefined) this.#start(board, leased, webhook, signal);
    }
  }

  #start(board: BoardRef, leased: LeasedDelivery, webhook: WebhookRow, signal: AbortSignal): void {
    const work = this.#send(board, leased, webhook, signal)
      .catch(this.#parts.onError)
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** For a stop: what was posted is to be acked. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #send(
    board: BoardRef,
    leased: LeasedDelivery,
    webhook: WebhookRow,
    signal: AbortSignal,
  ): Promise<void> {
    const { deliveries, trusted } = this.#parts;
    const id = parseId('dlv', leased.id) as Uuid;
    const lease = { lease_id: leased.lease_id };
    const body = JSON.stringify(messageOf(leased));
    try {
      const headers = this.#headersOf(leased, webhook, body);
      const { status, retryAfter } = await postGuarded(webhook.webhook_url, headers, body, {
        trusted,
        signal,
      });
      if (status >= 200 && status < 300) {
        await deliveries.ackAs(SENDER, board, id, lease);
        return;
      }
      const error = `the receiver answered ${status}`;
      const deferSeconds = secondsOf(retryAfter);
      const isDeferred = (status === 429 || status === 503) && deferSeconds !== null;
      await deliveries.nackAs(SENDER, board, id, {
        ...lease,
        error,
        ...(status === GONE ? { permanent: true } : {}),
        ...(isDeferred ? { defer_seconds: deferSeconds } : {}),
      });
    } catch (error) {
      // We stop: whoever comes next sends it, under the same id.
      if (signal.aborted) return deliveries.giveBack(board, [{ id, lease_id: leased.lease_id }]);
      const permanent = error instanceof RefusedAddressError;
      const said = error instanceof Error ? error.message : String(error);
      await deliveries.nackAs(SENDER, board, id, { ...lease, error: said || 'the post failed', permanent });
    }
  }

  /** While a secret is being replaced both sign. */
  #headersOf(leased: LeasedDelivery, webhook: WebhookRow, body: string): Record<string, string> {
    const at = this.#parts.now();
    const sealed = [webhook.webhook_secret, webhook.webhook_old_secret];
    const signatures = sealed.flatMap((secret) =>
      secret === null ? [] : [new Webhook(this.#parts.secrets.open(secret)).sign(leased.id, at, body)],
    );
    return {
      'content-type': 'application/json',
      'user-agent': 'lanekeeper',
      'webhook-id': leased.id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signatures.join(' '),
      ...(webhook.traceparent === null ? {} : { traceparent: webhook.traceparent }),
    };
  }
}

/** Without the lease: that is the server's own. */
function messageOf({ lease_id: _lease, lease_expires_at: _expires, ...delivery }: LeasedDelivery) {
  const [event] = delivery.events;
  return { type: event?.kind ?? 'delivery', timestamp: event?.at ?? null, data: delivery };
}

/** Only whole seconds: a date of the receiver's clock says nothing here. */
function secondsOf(retryAfter: string | null): number | null {
  if (retryAfter === null || !/^\d{1,9}$/.test(retryAfter)) return null;
  return Math.min(RETRY_AFTER_SECONDS_MAX, Math.max(1, Number(retryAfter)));
}
