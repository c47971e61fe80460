/** Subscriptions: put field by field, read, ended; and made by themselves where an origin says whereto. */

import type { BoardSettings } from '../../../contract/boards.ts';
import type { DeliveryMode } from '../../../contract/statuses.ts';
import type { PutSubscriptionBody, Subscription } from '../../../contract/subscriptions.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { present } from '../../kernel/assert.ts';
import { formatId, type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { SecretBox } from '../auth/service.ts';
import type { BoardRef, BoardService } from '../boards/service.ts';
import { givenParts, type TaskService } from '../tasks/service.ts';
import {
  deleteSubscriptionRow,
  findByTarget,
  findSubscription,
  followTasks,
  insertSubscriptions,
  listOfTask,
  listSubscriptions,
  lockDelegation,
  type NewSubscription,
  type Subject,
  type SubscriptionManner,
  type SubscriptionRow,
  updateSubscription,
} from './store.ts';
import { eventOf, shownOf } from './subscription-event.ts';
import { changeUndelivered, dropUndelivered } from './undelivered.ts';
import { subscriptionOf } from './view.ts';
import { webhookOf } from './webhook.ts';
import { type Beginning, boundOwnerOf, namedBy, ownerOf, type Telling, targetOf, type Wish } from './wish.ts';

export { findSubscriptions } from './store.ts';
export { subscriptionOf } from './view.ts';

interface SubscriptionParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly secrets: SecretBox;
  readonly boards: Pick<BoardService, 'readSettings'>;
  readonly tasks: Pick<TaskService, 'resolve'>;
  /** What is wrong with the address of a webhook; null: nothing, as far as can be said without resolving it. */
  readonly refusalOf: (url: URL) => string | null;
}

export interface Put {
  readonly subscription: Subscription;
  readonly isNew: boolean;
}

export class SubscriptionService {
  readonly #parts: SubscriptionParts;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** What is given wins, what is left out stays; the cursor never moves back. */
  async put(caller: Principal, board: BoardRef, body: PutSubscriptionBody): Promise<Put> {
    const { sql, wake } = this.#parts;
    const wish = { ...body, owner: ownerOf(caller, body) };
    const put = await transaction(sql, async (tx) => {
      const subject = await this.#lockSubject(tx, caller, board, body);
      const target = targetOf(body);
      const known = await findByTarget(tx, board.id, subject.id, target);
      const actor = actorOf(caller);
      if (known === null) {
        const made = await this.#insert(tx, board, { subject, target, actor }, wish);
        await appendEvents(tx, board.id, { events: [made.event] });
        return { ...made, isNew: true };
      }
      if (!(await this.#isOwn(tx, caller, board, known)))
        throw new ProblemError(
          'forbidden',
          'That target is told by somebody else than the owner of this key.',
        );
      const changed = await this.#update(tx, board, known, wish);
      await appendEvents(tx, board.id, { events: [eventOf('subscription.updated', changed.row, actor)] });
      return { ...changed, isNew: false };
    });
    wake.ring(board.id);
    const row = await withinDeadline(findSubscription(sql, board.id, put.row.id));
    // Its subject may have been pruned or deleted since, and this with it.
    if (row === null) throw subscriptionNotFound(formatId('sub', put.row.id));
    return { subscription: subscriptionOf(board, row, put.secret), isNew: put.isNew };
  }

  async #lockSubject(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    body: PutSubscriptionBody,
  ): Promise<Subject> {
    if (body.delegation_id) {
      const id = present(parseId('deleg', body.delegation_id), 'the schema asks for one');
      if (await lockDelegation(tx, board.id, id)) return { id, isDelegation: true };
      throw subjectNotFound('delegation', body.delegation_id);
    }
    const reference = body.task_id ?? '';
    const id = await this.#parts.tasks.resolve(caller, board, reference, tx);
    if (await followTasks(tx, board.id, [id])) return { id, isDelegation: false };
    throw subjectNotFound('task', reference);
  }

  async #insert(
    tx: Tx,
    board: BoardRef,
    key: Pick<NewSubscription, 'subject' | 'target' | 'actor'>,
    wish: Wish,
  ): Promise<{ row: SubscriptionRow; secret: string | null; event: NewEvent }> {
    const settings = await this.#parts.boards.readSettings(tx, board);
    const { made, secret } = this.#draft(settings, key, wish);
    await insertSubscriptions(tx, board.id, [made]);
    const row = present(await findSubscription(tx, board.id, made.id), 'it was just inserted');
    return { row, secret, event: eventOf('subscription.created', row, key.actor) };
  }

  /** Any number of them, by two statements. */
  async #insertAll(
    tx: Tx,
    board: BoardRef,
    all: readonly (Pick<NewSubscription, 'subject' | 'target' | 'actor'> & { readonly wish: Wish })[],
  ): Promise<NewEvent[]> {
    if (all.length === 0) return [];
    const settings = await this.#parts.boards.readSettings(tx, board);
    const made = all.map(({ wish, ...key }) => this.#draft(settings, key, wish).made);
    await insertSubscriptions(tx, board.id, made);
    return made.map((one) => eventOf('subscription.created', shownOf(one), one.actor));
  }

  #draft(
    settings: BoardSettings,
    key: Pick<NewSubscription, 'subject' | 'target' | 'actor'>,
    wish: Wish,
  ): { made: NewSubscription; secret: string | null } {
    const isSynthesized = settings.synthesize_platforms.includes(key.target.platform);
    const usual: DeliveryMode = isSynthesized ? 'synthesize' : 'direct';
    const { webhook, secret } = webhookOf(this.#parts, wish, null);
    const manner: SubscriptionManner = {
      userId: wish.user_id || null,
      mode: wish.mode ?? usual,
      wake: wish.wake ?? key.subject.isDelegation,
      kinds: wish.kinds ?? null,
      origin: givenParts(wish.origin ?? {}),
      owner: wish.owner || null,
      webhook,
    };
    return { made: { id: this.#parts.ids.next(), ...key, ...manner }, secret };
  }

  async #update(
    tx: Tx,
    board: BoardRef,
    known: SubscriptionRow,
    wish: Wish,
  ): Promise<{ row: SubscriptionRow; secret: string | null }> {
    const { webhook, secret } = webhookOf(this.#parts, wish, known);
    const mode = wish.mode ?? known.mode;
    const seq = await updateSubscription(tx, board.id, known.id, {
      userId: wish.user_id || known.user_id,
      mode,
      wake: wish.wake ?? known.wake,
      kinds: wish.kinds ?? known.kinds,
      origin: { ...known.origin, ...givenParts(wish.origin ?? {}) },
      owner: wish.owner || known.owner,
      webhook,
    });
    const row = present(await findSubscription(tx, board.id, known.id), 'its subject is locked');
    await changeUndelivered(tx, board.id, known.id, seq, mode === 'silent');
    return { row, secret };
  }

  isTold(caller: Principal, telling: Telling): boolean {
    return namedBy(caller, telling) !== null;
  }

  /**
   * With what is just being made, in its transaction, by an API key: whom it names, else where it came from, if anything can return there.
   * Tasks were made followed, where `isTold`. The caller writes the events, and the making with them or behind this: who asked for more
   * than outcomes is told of it.
   */
  async subscribeNew(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    beginnings: readonly Beginning[],
  ): Promise<NewEvent[]> {
    const all = beginnings.flatMap(({ subject, ...telling }) => {
      const named = namedBy(caller, telling);
      if (named === null) return [];
      const { origin } = telling;
      const owner = ownerOf(caller, named);
      const wish = { ...named, owner, user_id: named.user_id ?? origin?.user_id ?? null, origin };
      return [{ subject, target: targetOf(named), actor: actorOf(caller), wish }];
    });
    return this.#insertAll(tx, board, all);
  }

  /** A webhook's secret stays with the one it was made for. */
  async inherit(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    from: Uuid,
    to: readonly Uuid[],
  ): Promise<NewEvent[]> {
    const known = to.length === 0 ? [] : await listOfTask(tx, board.id, from);
    if (known.length === 0) return [];
    await followTasks(tx, board.id, to);
    const all = to.flatMap((id) =>
      known.map(({ user_id, mode, wake, kinds, origin, owner, ...row }) => ({
        subject: { id, isDelegation: false },
        target: targetOf(row),
        actor: actorOf(caller),
        wish: { user_id, mode, wake, kinds, origin, owner, webhook: null },
      })),
    );
    return this.#insertAll(tx, board, all);
  }

  async get(caller: Principal, board: BoardRef, reference: string): Promise<Subscription> {
    const { sql } = this.#parts;
    const id = parseId('sub', reference);
    const row = id === null ? null : await withinDeadline(findSubscription(sql, board.id, id));
    if (row === null || !(await this.#isOwn(sql, caller, board, row))) throw subscriptionNotFound(reference);
    return subscriptionOf(board, row);
  }

  async list(
    caller: Principal,
    board: BoardRef,
    subjectId: Uuid | null,
    page: { readonly beforeId: Uuid | null; readonly rowsMax: number },
  ): Promise<Subscription[]> {
    const rows = listSubscriptions(
      this.#parts.sql,
      board.id,
      { subjectId, owner: boundOwnerOf(caller) },
      page,
    );
    return (await withinDeadline(rows)).map((row) => subscriptionOf(board, row));
  }

  /** As its deliveries are: of a key that is bound to an owner, those of that owner alone. */
  async #isOwn(
    runner: Sql | Tx,
    caller: Principal,
    board: BoardRef,
    { owner }: SubscriptionRow,
  ): Promise<boolean> {
    const bound = boundOwnerOf(caller);
    if (bound === null) return true;
    return (owner ?? (await this.#parts.boards.readSettings(runner, board)).default_owner) === bound;
  }

  async delete(caller: Principal, board: BoardRef, reference: string): Promise<void> {
    const { sql, wake } = this.#parts;
    const id = parseId('sub', reference);
    await transaction(sql, async (tx) => {
      const row = id === null ? null : await findSubscription(tx, board.id, id);
      if (row === null || !(await this.#isOwn(tx, caller, board, row))) throw subscriptionNotFound(reference);
      // As in every change of it: nobody tells it anything meanwhile.
      if (row.is_delegation) await lockDelegation(tx, board.id, row.subject_id);
      else await followTasks(tx, board.id, [row.subject_id]);
      const seq = await deleteSubscriptionRow(tx, board.id, row.id);
      if (seq === null) throw subscriptionNotFound(reference);
      await dropUndelivered(tx, board.id, row.id, seq);
      const event = eventOf('subscription.deleted', row, actorOf(caller));
      await appendEvents(tx, board.id, { events: [event] });
    });
    wake.ring(board.id);
  }
}

function subjectNotFound(resource: 'task' | 'delegation', reference: string): ProblemError {
  return new ProblemError(
    'not_found',
    `There is no ${resource} ${JSON.stringify(reference)} on this board.`,
    {
      extensions: { resource },
    },
  );
}

function subscriptionNotFound(reference: string): ProblemError {
  return new ProblemError(
    'not_found',
    `There is no subscription ${JSON.stringify(reference)} on this board.`,
    { extensions: { resource: 'subscription' } },
  );
}
