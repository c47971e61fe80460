/**
 * Who was refused, summed up: the same refusal of the same caller from the same address is one entry with a count. Guessers and loops are
 * refused by the thousand, so entries are bounded for each round, and what is beyond is one more entry that says how much it was.
 */
import type { AuditAction, AuditEntry } from '../../../contract/audit.ts';
import type { NewAuditEntry } from './store.ts';

/** A round takes 10 s: some 60 entries a minute and server, which is 26 MB a day at the worst. */
const ENTRIES_PER_ROUND_MAX = 10;

export interface Refusal {
  readonly action: Extract<AuditAction, 'credential.refused' | 'access.refused'>;
  readonly actor: AuditEntry['actor'];
  readonly code: string;
  /** null: of none, or the caller may not know. */
  readonly operation: string | null;
  readonly address: string;
  readonly requestId: string | null;
}

interface Sum {
  readonly first: Refusal;
  count: number;
}

const NOBODY: AuditEntry['actor'] = { type: 'anonymous', id: null, name: null };

export class Refusals {
  #sums = new Map<string, Sum>();
  #beyond = 0;

  add(refusal: Refusal): void {
    const { action, actor, code, operation, address } = refusal;
    const key = JSON.stringify([action, actor.type, actor.id, code, operation, address]);
    const known = this.#sums.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#sums.size < ENTRIES_PER_ROUND_MAX) this.#sums.set(key, { first: refusal, count: 1 });
    else this.#beyond += 1;
  }

  /** What has come together since the last time. */
  take(): NewAuditEntry[] {
    const entries = [...this.#sums.values()].map(({ first, count }) => entryOf(first, count));
    if (this.#beyond > 0) {
      const others = {
        action: 'access.refused',
        actor: NOBODY,
        code: 'rate_limited',
        operation: null,
      } as const;
      entries.push({
        ...entryOf({ ...others, address: '', requestId: null }, this.#beyond),
        code: null,
        data: { summary: 'refusals of many callers, too many to be listed one by one' },
      });
    }
    this.#sums = new Map();
    this.#beyond = 0;
    return entries;
  }
}

function entryOf(
  { action, actor, code, operation, address, requestId }: Refusal,
  count: number,
): NewAuditEntry {
  return {
    action,
    actor,
    boardId: null,
    board: null,
    subject: null,
    outcome: 'refused',
    code,
    count,
    address: address === '' ? null : address,
    requestId,
    data: operation === null ? {} : { operation },
  };
}
