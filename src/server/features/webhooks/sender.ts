/**
 * Delivers to webhooks, on every server: what is due is taken under a lease as a gateway takes it, signed as Standard Webhooks has it, posted,
 * and acked or nacked by the answer. Many are under way at once, so that one that does not answer holds up nobody else's.
 */
import { Webhook } from 'standardwebhooks';
import type { LeasedDelivery, NackDeliveryBody } from '../../../contract/deliveries.ts';
import type { Sql } from '../../db/client.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { Turns } from '../../kernel/turns.ts';
import type { SecretBox } from '../auth/service.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import type { DeliveryService } from '../deliveries/service.ts';
import { type PostedAnswer, postGuarded, RefusedAddressError, type TrustedHosts } from './guarded-post.ts';
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
/** To one host: a few that never answer must not take the room of all others. What is for one that has no room is not taken. */
const PER_HOST_MAX = 20;
const BOARDS_PER_SWEEP_MAX = 100;
/** One portion of each board; what stands behind it comes in the next sweep. */
const SWEEP_MS_MAX = 1000;
/** Six times what a post may take. */
const LEASE_SECONDS = 30;
/** What a receiver may ask for is bounded by what a pause is bounded by. */
const RETRY_AFTER_SECONDS_MAX = 300;

const GONE = 410;

/** Nobody's key: the server itself. */
const SENDER = { type: 'system', id: 'webhooks' } as const;

const UNSUBSCRIBED: Verdict = { isAcked: false, error: 'its subscription has ended', permanent: true };
const IS_NOT_OURS: ReadonlySet<string> = new Set(['not_found', 'lease_lost']);

/** What was leased, and is to be said something of. */
interface Held {
  readonly board: BoardRef;
  readonly id: Uuid;
  readonly lease_id: string;
}

/** What is said of it; null: nothing, another server is to have it. */
type Verdict =
  | { readonly isAcked: true }
  | (Omit<NackDeliveryBody, 'lease_id'> & { readonly isAcked: false });

export class WebhookSender {
  readonly #parts: SenderParts;
  readonly #turns = new Turns<number>({ roundsMax: 1, durationMsMax: SWEEP_MS_MAX });
  readonly #underWay = new Set<Promise<void>>();
  /** Posts under way, of hosts that have any. */
  readonly #perHost = new Map<string, number>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Takes what is due, as far as there is room, and does not wait for what becomes of it. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { sql, boards } = this.#parts;
    if (this.#underWay.size >= IN_FLIGHT_MAX) return;
    const fullHosts = [...this.#rooms()].flatMap(([host, room]) => (room > 0 ? [] : [host]));
    const listed = listBoardsWithDueWebhooks(sql, fullHosts, BOARDS_PER_SWEEP_MAX);
    await this.#turns.take(await withinDeadline(listed), signal, async (boardId, patienceMs) => {
      const room = Math.min(PER_BOARD_MAX, IN_FLIGHT_MAX - this.#underWay.size);
      const board = room > 0 ? await boards.resolveId(boardId) : null;
      if (board !== null) await this.#take(board, room, signal, patienceMs);
      return false;
    });
  }

  async #take(board: BoardRef, max: number, signal: AbortSignal, patienceMs: number): Promise<void> {
    const { sql, deliveries } = this.#parts;
    const hostRooms = { usual: PER_HOST_MAX, rooms: this.#rooms() };
    const ask = { owner: null, platforms: null, webhooks: hostRooms, max, leaseSeconds: LEASE_SECONDS };
    const rows = await impatientTransaction(sql, patienceMs, (tx) => deliveries.lease(tx, board, ask));
    if (rows.length === 0) return;
    const subscriptionIds = [...new Set(rows.map((row) => row.subscription_id))];
    const webhooks = await withinDeadline(findWebhooks(sql, board.id, subscriptionIds));
    const presented = new Map((await deliveries.present(board, rows)).map((leased) => [leased.id, leased]));
    for (const { id, lease_id: leaseId, subscription_id: subscriptionId, webhook_host: host } of rows) {
      const held: Held = { board, id, lease_id: leaseId ?? '' };
      const leased = presented.get(formatId('dlv', id));
      const webhook = webhooks.get(subscriptionId);
      // Nobody is left to be told, and nobody will be: left alone, it would be taken again whenever its lease ends.
      if (leased === undefined || webhook === undefined) this.#track(this.#say(held, UNSUBSCRIBED));
      else this.#start(host ?? '', this.#send(held, leased, webhook, signal));
    }
  }

  /** Of the hosts that have posts under way. */
  #rooms(): Map<string, number> {
    return new Map([...this.#perHost].map(([host, count]) => [host, Math.max(0, PER_HOST_MAX - count)]));
  }

  #start(host: string, sending: Promise<void>): void {
    this.#perHost.set(host, (this.#perHost.get(host) ?? 0) + 1);
    const sent = sending.finally(() => {
      const left = (this.#perHost.get(host) ?? 1) - 1;
      if (left > 0) this.#perHost.set(host, left);
      else this.#perHost.delete(host);
    });
    this.#track(sent);
  }

  #track(doing: Promise<void>): void {
    const work = doing.catch(this.#parts.onError).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** For a stop: what was posted is to be acked. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #send(held: Held, leased: LeasedDelivery, webhook: WebhookRow, signal: AbortSignal): Promise<void> {
    const verdict = await this.#post(leased, webhook, signal);
    if (verdict !== null) await this.#say(held, verdict);
    // We stop: whoever comes next sends it, under the same id.
    else await this.#parts.deliveries.giveBack(held.board, [held]);
  }

  async #post(leased: LeasedDelivery, webhook: WebhookRow, signal: AbortSignal): Promise<Verdict | null> {
    const body = JSON.stringify(messageOf(leased));
    try {
      const headers = this.#headersOf(leased, webhook, body);
      const { trusted } = this.#parts;
      return verdictOf(await postGuarded(webhook.webhook_url, headers, body, { trusted, signal }));
    } catch (error) {
      if (signal.aborted) return null;
      const said = error instanceof Error ? error.message : String(error);
      const permanent = error instanceof RefusedAddressError;
      return { isAcked: false, error: said || 'the post failed', permanent };
    }
  }

  /** Not within what judges the post: that the database is away is no failure of the receiver, which then hears of it again when the lease ends. */
  async #say({ board, id, lease_id }: Held, verdict: Verdict): Promise<void> {
    const { deliveries } = this.#parts;
    try {
      if (verdict.isAcked) await deliveries.ackAs(SENDER, board, id, { lease_id });
      else {
        const { isAcked: _isAcked, ...said } = verdict;
        await deliveries.nackAs(SENDER, board, id, { lease_id, ...said });
      }
    } catch (error) {
      // Deleted meanwhile, or given out again: it is not ours any more.
      if (!(error instanceof ProblemError && IS_NOT_OURS.has(error.code))) throw error;
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

function verdictOf({ status, retryAfter }: PostedAnswer): Verdict {
  if (status >= 200 && status < 300) return { isAcked: true };
  const deferSeconds = secondsOf(retryAfter);
  const isDeferred = (status === 429 || status === 503) && deferSeconds !== null;
  return {
    isAcked: false,
    error: `the receiver answered ${status}`,
    ...(status === GONE ? { permanent: true } : {}),
    ...(isDeferred ? { defer_seconds: deferSeconds } : {}),
  };
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
