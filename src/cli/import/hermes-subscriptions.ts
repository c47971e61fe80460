/**
 * Who was to be told of a task in Hermes is told of it here. Hermes never ends a subscription, so those of finished tasks are left out: nothing
 * would be told any more. A target that is subscribed here already is left alone, whatever it was changed to since. What was told in Hermes is not
 * told again: a subscription begins with the import.
 */
import type { Client } from '../../client/client.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { DeliveryMode } from '../../contract/statuses.ts';
import { type Row, textOf, wordOf } from './cell.ts';
import type { Findings } from './findings.ts';

type Body = BodyOf<'putSubscription'>;

/** The values of the wire; the compiler holds them against the contract, whose schemas would take long to load. */
const MODES: Record<DeliveryMode, true> = { direct: true, synthesize: true, silent: true };

/** A person sits there: nothing has to be brought as a new turn. All others are gateways of conversations. */
const ATTENDED_PLATFORMS: readonly string[] = ['cli', 'tui'];
/** Requests under way at once: each is one short transaction. */
const AT_ONCE = 8;
const OWNER_CHARACTERS_MAX = 128;

export interface Subscribed {
  readonly taskId: string;
  readonly rows: readonly Row[];
  /** The board here had the task before, maybe with subscriptions. */
  readonly isPresent: boolean;
  /** There is nothing left to tell. */
  readonly isFinished: boolean;
}

interface Target {
  readonly platform: string;
  readonly chat_id?: string | null | undefined;
  readonly thread_id?: string | null | undefined;
}

function keyOf({ platform, chat_id, thread_id }: Target): string {
  return JSON.stringify([platform, chat_id ?? '', thread_id ?? '']);
}

/** null: the row names no target that could be told. */
function subscriptionOf(taskId: string, row: Row): Body | null {
  const platform = wordOf(row['platform']);
  const target = { chat_id: textOf(row['chat_id']) ?? '', thread_id: textOf(row['thread_id']) ?? '' };
  if (platform === null || ![platform, ...Object.values(target)].every(fits)) return null;
  const userId = partOf(row, 'user_id');
  const mode = modeOf(wordOf(row['notification_mode']));
  const owner = wordOf(row['notifier_profile']);
  const origin = withoutNulls({
    session_id: partOf(row, 'origin_session_id'),
    profile: partOf(row, 'origin_profile'),
    context:
      textOf(row['origin_context'])?.slice(0, LIMITS.originContextCharactersMax).toWellFormed() || null,
  });
  return {
    task_id: taskId,
    platform,
    ...target,
    wake: wakes(row, platform),
    ...withoutNulls({
      user_id: userId,
      mode: mode ?? null,
      owner: owner !== null && owner.length <= OWNER_CHARACTERS_MAX ? owner : null,
    }),
    origin: { platform, ...target, ...withoutNulls({ user_id: userId }), ...origin },
  };
}

function fits(text: string): boolean {
  return text.length <= LIMITS.originCharactersMax;
}

function partOf(row: Row, column: string): string | null {
  const word = wordOf(row[column]);
  return word !== null && fits(word) ? word : null;
}

/** Boards from before there was a choice brought every outcome as a turn, but where a person sat; null means to notify only. */
function wakes(row: Row, platform: string): boolean {
  if (!('delivery_mode' in row)) return !ATTENDED_PLATFORMS.includes(platform);
  return (wordOf(row['delivery_mode']) ?? 'notify').split('+').includes('wake');
}

function withoutNulls<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.fromEntries(given) as { [K in keyof T]?: NonNullable<T[K]> };
}

export class HermesSubscriptions {
  readonly counts = { created: 0, present: 0 };
  readonly #client: Client;
  readonly #isDryRun: boolean;
  readonly #findings: Findings;

  constructor(client: Client, isDryRun: boolean, findings: Findings) {
    this.#client = client;
    this.#isDryRun = isDryRun;
    this.#findings = findings;
  }

  /** Those of one batch of tasks, which the server has by now, or in a dry run would have. */
  async take(subscribed: readonly Subscribed[]): Promise<void> {
    const waiting = subscribed.filter(({ rows }) => rows.length > 0)[Symbol.iterator]();
    const hand = async (): Promise<void> => {
      for (const each of waiting) await this.#takeTask(each);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, hand));
  }

  async #takeTask({ taskId, rows, isPresent, isFinished }: Subscribed): Promise<void> {
    if (isFinished) {
      this.#findings.add('subscription_over', taskId, rows.length);
      return;
    }
    const keys = isPresent ? await this.#keysOf(taskId) : new Set<string>();
    for (const row of rows) {
      const body = subscriptionOf(taskId, row);
      if (body === null) {
        this.#findings.add('subscription_unusable', taskId);
        continue;
      }
      if (keys.has(keyOf(body))) {
        this.counts.present += 1;
        continue;
      }
      keys.add(keyOf(body));
      if (!this.#isDryRun) await this.#client.subscriptions.put(body);
      this.counts.created += 1;
    }
  }

  async #keysOf(taskId: string): Promise<Set<string>> {
    const keys = new Set<string>();
    for await (const subscription of this.#client.subscriptions.list({ task_id: taskId }))
      keys.add(keyOf(subscription));
    return keys;
  }
}

function modeOf(word: string | null | undefined): DeliveryMode | undefined {
  return Object.keys(MODES).find((known): known is DeliveryMode => known === word);
}
