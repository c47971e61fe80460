/**
 * Who was refused, summed up: the same refusal of the same caller from the same address is one entry with a count. Guessers and loops are
 * refused by the thousand, so a round has places: some for each action, of these two for each party (a caller, or an address without
 * one), then one sum for each party, and one for everybody else. Nobody takes the places of others by asking for much.
 */
import type { AuditAction, AuditEntry } from '../../../contract/audit.ts';
import type { NewAuditEntry } from './store.ts';

/** A round takes 10 s: with those below some 160 entries a minute and server, which is 70 MB a day at the worst. */
const PLACES_PER_ACTION = 8;
const PLACES_PER_PARTY = 2;
/** Parties that are refused in more ways than they have places for. */
const PARTY_SUMS_PER_ACTION = 4;

export interface Refusal {
  readonly action: Extract<AuditAction, 'credential.refused' | 'access.refused'>;
  readonly actor: AuditEntry['actor'];
  readonly code: string;
  /** null: of none, or the caller may not know. */
  readonly operation: string | null;
  /** As the caller named it, whether there is one or not; null: of none. */
  readonly board: string | null;
  readonly address: string;
  readonly requestId: string | null;
}

/** What one entry stands for: one refusal, all others of a party, or all others. */
type Breadth = 'one' | 'party' | 'everybody';

export interface RefusalSum {
  readonly breadth: Breadth;
  readonly first: Refusal;
  readonly count: number;
}

const NOBODY: AuditEntry['actor'] = { type: 'anonymous', id: null, name: null };

export class Refusals {
  #rounds = new Map<Refusal['action'], Round>();

  add(refusal: Refusal): void {
    this.#roundOf(refusal).add({ breadth: 'one', first: refusal, count: 1 });
  }

  /** What has come together since the last time. */
  take(): RefusalSum[] {
    const sums = [...this.#rounds.values()].flatMap((round) => round.list());
    this.#rounds = new Map();
    return sums;
  }

  /** They could not be written: with the next round, within the bounds of one. */
  putBack(sums: readonly RefusalSum[]): void {
    for (const sum of sums) this.#roundOf(sum.first).add(sum);
  }

  #roundOf({ action }: Refusal): Round {
    const round = this.#rounds.get(action) ?? new Round();
    this.#rounds.set(action, round);
    return round;
  }
}

/** Of one action. */
class Round {
  readonly #ones = new Map<string, RefusalSum>();
  readonly #parties = new Map<string, RefusalSum>();
  #everybody: RefusalSum | null = null;

  add(sum: RefusalSum): void {
    if (sum.breadth === 'one' && this.#list(sum)) return;
    if (sum.breadth !== 'everybody' && this.#sumUp(sum)) return;
    const first = { ...sum.first, actor: NOBODY, address: '' };
    this.#everybody = { breadth: 'everybody', first, count: sum.count + (this.#everybody?.count ?? 0) };
  }

  list(): RefusalSum[] {
    const listed = [...this.#ones.values(), ...this.#parties.values()];
    return this.#everybody === null ? listed : [...listed, this.#everybody];
  }

  /** False: there is no place. */
  #list(sum: RefusalSum): boolean {
    const { actor, code, operation, board, address } = sum.first;
    const key = JSON.stringify([actor.type, actor.id, code, operation, board, address]);
    const known = this.#ones.get(key);
    if (known === undefined && !this.#hasPlaceFor(partyOf(sum.first))) return false;
    this.#ones.set(key, known === undefined ? sum : { ...known, count: known.count + sum.count });
    return true;
  }

  #hasPlaceFor(party: string): boolean {
    const own = [...this.#ones.values()].filter(({ first }) => partyOf(first) === party);
    return this.#ones.size < PLACES_PER_ACTION && own.length < PLACES_PER_PARTY;
  }

  #sumUp(sum: RefusalSum): boolean {
    const party = partyOf(sum.first);
    const known = this.#parties.get(party);
    if (known === undefined && this.#parties.size >= PARTY_SUMS_PER_ACTION) return false;
    const isOneAddress = known === undefined || known.first.address === sum.first.address;
    const first = isOneAddress ? (known ?? sum).first : { ...known.first, address: '' };
    this.#parties.set(party, { breadth: 'party', first, count: sum.count + (known?.count ?? 0) });
    return true;
  }
}

function partyOf({ actor, address }: Refusal): string {
  return actor.id === null ? `address ${address}` : `${actor.type} ${actor.id}`;
}

const SUMMARIES = {
  party: 'other refusals of the same caller or address, too many kinds to be listed one by one',
  everybody: 'refusals of many callers, too many to be listed one by one',
} as const;

/** @param boardIds Of the boards that there are, by name: what is none is only what a caller has typed. */
export function entryOf(
  { breadth, first, count }: RefusalSum,
  boardIds: ReadonlyMap<string, number>,
): NewAuditEntry {
  const { action, actor, code, operation, board, address, requestId } = first;
  const isOne = breadth === 'one';
  const boardId = isOne && board !== null ? (boardIds.get(board) ?? null) : null;
  const told = operation === null ? {} : { operation };
  return {
    action,
    actor,
    boardId,
    board: boardId === null ? null : board,
    subject: null,
    outcome: 'refused',
    code: isOne ? code : null,
    count,
    address: address === '' ? null : address,
    requestId: isOne ? requestId : null,
    data: breadth === 'one' ? told : { summary: SUMMARIES[breadth] },
  };
}
