/**
 * What one stream of requests knows of the server: ids, names, tokens and cursors that answers held, by the name of their schema or field.
 * Requests that are made of these go deep; made-up ones are turned away at the door.
 */
import type { Random } from './random.ts';

/** Of each kind the newest are kept: older ones are mostly gone or finished. */
const KEPT_OF_EACH = 40;

const KIND_OF_PREFIX: Readonly<Record<string, string>> = {
  task: 'TaskId',
  run: 'RunId',
  key: 'KeyId',
  cmt: 'CommentId',
  msg: 'MessageId',
  op: 'OperationId',
  deleg: 'DelegationId',
  sub: 'SubscriptionId',
  dlv: 'DeliveryId',
};

/** Fields whose values go into fields and parameters of another name. */
const KIND_OF_FIELD: Readonly<Record<string, string>> = {
  cursor: 'Cursor',
  next_page_token: 'PageToken',
  external_ref: 'ExternalRef',
  lease_id: 'lease_id',
  session_id: 'session_id',
  token: 'token',
  owner: 'owner',
  worker: 'WorkerName',
};

const TYPE_ID = /^([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

export class KnownNames {
  readonly #byKind = new Map<string, string[]>();
  /** Names that must not be found again, whoever tells them: what the stream itself stands on. */
  readonly #reserved: ReadonlySet<string>;

  constructor(reserved: ReadonlySet<string>) {
    this.#reserved = reserved;
  }

  add(kind: string, value: string): void {
    if (this.#reserved.has(value)) return;
    const list = this.#byKind.get(kind) ?? [];
    this.#byKind.set(kind, list);
    if (list.includes(value)) return;
    list.push(value);
    if (list.length > KEPT_OF_EACH) list.shift();
  }

  /** As it is now, for somebody else. */
  copy(): KnownNames {
    const copy = new KnownNames(this.#reserved);
    for (const [kind, list] of this.#byKind) for (const value of list) copy.add(kind, value);
    return copy;
  }

  /** null: none is known. */
  pick(kind: string, random: Random): string | null {
    const list = this.#byKind.get(kind) ?? [];
    return list.length === 0 ? null : random.pick(list);
  }

  /** Reads an answer. Bounded: the head of a long list tells as much as all of it. */
  learn(body: unknown, depth = 0): void {
    if (depth > 6 || typeof body !== 'object' || body === null) return;
    if (Array.isArray(body)) {
      for (const entry of body.slice(0, 4)) this.#learnValue('', entry, depth);
      return;
    }
    for (const [field, value] of Object.entries(body)) this.#learnValue(field, value, depth);
  }

  #learnValue(field: string, value: unknown, depth: number): void {
    if (typeof value !== 'string') {
      this.learn(value, depth + 1);
      return;
    }
    const prefix = TYPE_ID.exec(value)?.[1];
    const kind = KIND_OF_FIELD[field] ?? (prefix === undefined ? undefined : KIND_OF_PREFIX[prefix]);
    if (kind !== undefined && value !== '') this.add(kind, value);
  }
}
